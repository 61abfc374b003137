"""Power cuts under the state file and a SQLite sink: what was not synced may be lost.

    python -m tests.chaos.power --histories 100000

A workload of the real store and sink is recorded below SQLite (`tests.chaos.disk`): every write and
every sync. A history cuts the power after some operation: of all that was written since the last
sync of its file, each sector survives or not, by chance, in any order (as in ALICE, OSDI 2014). The
files are then opened by the real code, and what was acknowledged before the cut must be there.

``kill -9`` cannot show any of this: what was written stays in the page cache. Not modelled:
sectors that are torn inside, sectors that rot (`tests.chaos.rot`), directories that forget a file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import edgestream.store.opening as opening_module
from edgestream import Batch, Sqlite, Token
from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.sinks import sqlite_session
from edgestream.store import checkpoints, opening, tables
from edgestream.store.store import Store
from edgestream.store.tables import Cut, DeadLetter, JournalRow
from edgestream.store.thread import StoreThread
from edgestream.testing import context
from tests.chaos.disk import Disk, Operation
from tests.chaos.mutants import _outbox_apart, _tell_before_commit

STATE, SINK = "power.db", "sink.db"
SOURCE, TARGET = "in", "out"
PER_WORKLOAD = 2_000
"""Histories of one recorded workload."""
SURVIVAL = (0.0, 0.1, 0.5, 0.9, 1.0)
SECTORS = (512, 4096)
PAGES = (8, 40)
"""Pages of the write-ahead log after which SQLite copies it into the database: 4000 in the
product; few here, so that a short workload sees many such copies."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a workload wrote: by journal number, by checkpoint, by batch of the sink."""

    raw: dict[int, bytes] = field(default_factory=dict)
    cuts: dict[int, Cut] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    letters: dict[int, int] = field(default_factory=dict)
    """Dead letters up to a checkpoint."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A workload as the disk saw it."""

    store: str
    base: Mapping[str, bytes]
    log: Sequence[Operation]
    truth: Truth


class Workload:
    """The path of a message with the real store and sink, and nothing else."""

    def __init__(self, folder: Path, disk: Disk, seed: int) -> None:
        self.truth = Truth()
        self._folder = folder
        self._disk = disk
        self._rng = random.Random(seed)
        self._seq = self._epoch = self._batch = self._delivered = self._letters = 0
        self._offered: list[tuple[int, Batch]] = []

    async def run(self, steps: int) -> None:
        """Journal, cut and deliver, now and then with a stop and a start between."""
        left = steps
        while left > 0:
            share = min(left, self._rng.randint(10, 40))
            await self._session(share)
            left -= share

    async def _session(self, steps: int) -> None:
        store = await Store.open(self._folder, Path(STATE).stem)
        sink = Sqlite(path=str(self._folder / SINK), table="rows", mode="append")
        await store.load()
        await sink.open(context("power.out"))
        identity = (await store.load()).store
        for _ in range(steps):
            waiting = [self._append(store) for _ in range(self._rng.randint(1, 4))]
            if self._rng.random() < 0.4:
                waiting.append(self._cut(store))
            while not all(future.done() for future in waiting):
                store.settle()
                await asyncio.sleep(0)
            await asyncio.gather(*waiting)
            if self._offered and self._rng.random() < 0.7:
                await self._deliver(sink, identity)
        await sink.close()
        await store.close()

    def _append(self, store: Store) -> asyncio.Future[None]:
        self._seq += 1
        seq, size = self._seq, self._rng.choice((90, 400, 3_000, 9_000))
        self.truth.raw[seq] = self._rng.randbytes(size)
        row = JournalRow(seq, SOURCE, 1, time.time_ns(), self.truth.raw[seq])
        future = store.append(row, silence=0 if self._rng.random() < 0.5 else None)
        return self._told(future, "journal", seq)

    def _cut(self, store: Store) -> asyncio.Future[None]:
        self._epoch += 1
        self._batch += 1
        count = self._rng.randint(1, 30)
        self.truth.rows[self._batch] = count
        number = np.full(count, self._batch, np.int64)
        batch = Batch({"batch": number, "row": np.arange(count)}, number)
        letters = [
            DeadLetter(0, SOURCE, "decode", "{}", "spoilt", b"x" * 50)
            for _ in range(self._rng.randint(0, 2))
        ]
        self._letters += len(letters)
        self.truth.letters[self._epoch] = self._letters
        cut = Cut(
            self._epoch,
            0,
            {SOURCE: {"seq": self._seq}},
            {"outbox": {TARGET: self._batch}},
            {"step": State(1, {"seq": self._seq}, {"values": np.arange(self._epoch % 500)})},
            [(TARGET, self._batch, batch)],
            {TARGET: self._delivered},
            letters,
        )
        self.truth.cuts[self._epoch] = cut
        epoch, offered = self._epoch, (self._batch, batch)
        future = self._told(store.save(cut), "cut", epoch)

        def saved(done: asyncio.Future[None]) -> None:
            if done.exception() is None:
                self._offered.append(offered)

        future.add_done_callback(saved)
        return future

    def _told(self, future: asyncio.Future[None], kind: str, number: int) -> asyncio.Future[None]:
        def done(finished: asyncio.Future[None]) -> None:
            if finished.exception() is None:
                self._disk.mark((kind, number))

        future.add_done_callback(done)
        return future

    async def _deliver(self, sink: Sqlite, store: str) -> None:
        offered, self._offered = self._offered, []
        for _, batch in offered:
            await sink.write(batch)
        last = offered[-1][0]
        await sink.flush(Token(store, last))
        self._disk.mark(("sink", last))
        self._delivered = last


def record(seed: int, steps: int = 60) -> Recording:
    """Run a workload with everything it does to the disk written down."""
    folder = Path(tempfile.mkdtemp(prefix="edgestream-power-"))
    disk = Disk()
    workload = Workload(folder, disk, seed)
    pages = PAGES[seed % len(PAGES)]
    try:
        with small_logs(pages), disk.around():
            asyncio.run(made(folder))
            base = {name: (folder / name).read_bytes() for name in (STATE, SINK)}
            disk.log.clear()
            asyncio.run(workload.run(steps))
        store = sqlite3.connect(folder / STATE)
        identity = store.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0]
        store.close()
    finally:
        shutil.rmtree(folder)
    return Recording(identity, base, disk.log, workload.truth)


async def made(folder: Path) -> None:
    """Both files, made and closed: that is where the histories begin."""
    await (await Store.open(folder, Path(STATE).stem)).close()
    sink = Sqlite(path=str(folder / SINK), table="rows", mode="append")
    await sink.open(context("power.out"))
    await sink.write(Batch({"batch": np.zeros(1, np.int64), "row": np.zeros(1)}, np.zeros(1)))
    await sink.flush(None)
    await sink.close()


@contextlib.contextmanager
def small_logs(pages: int) -> Iterator[None]:
    """Copy the write-ahead logs into the databases after ``pages`` pages."""
    kept, kept_sink = opening_module._PRAGMAS, sqlite_session._PRAGMAS
    small = f"PRAGMA wal_autocheckpoint={pages}"
    opening_module._PRAGMAS = (*kept, small)
    sqlite_session._PRAGMAS = (*kept_sink, small)
    try:
        yield
    finally:
        opening_module._PRAGMAS, sqlite_session._PRAGMAS = kept, kept_sink


class Image:
    """One file: what is surely on the disk, and what was written since."""

    def __init__(self, base: bytes | None) -> None:
        self.there = base is not None
        self._sure = bytearray(base or b"")
        self._pending: list[Operation] = []
        self._gone: bytes | None = None

    def follow(self, operation: Operation) -> None:
        """The next operation on this file."""
        if operation.kind == "delete":
            self._gone = self.after(random.Random(0), 1.0, 512)
            self.there, self._sure, self._pending = False, bytearray(), []
            return
        self.there, self._gone = True, None
        if operation.kind == "sync":
            for earlier in self._pending:
                _apply(self._sure, earlier)
            self._pending = []
        else:
            self._pending.append(operation)

    def after(self, rng: random.Random, survival: float, sector: int) -> bytes | None:
        """The file after a power cut; None where there is none."""
        if not self.there:
            return self._gone if self._gone is not None and rng.random() > survival else None
        found = bytearray(self._sure)
        for operation in self._pending:
            if operation.kind == "truncate":
                if rng.random() < survival:
                    _apply(found, operation)
                continue
            for at, piece in _sectors(operation, sector):
                if rng.random() < survival:
                    _put(found, at, piece)
        return bytes(found)


def _sectors(operation: Operation, size: int) -> Iterator[tuple[int, bytes]]:
    at, end = operation.at, operation.at + len(operation.data)
    while at < end:
        stop = min(end, (at // size + 1) * size)
        yield at, operation.data[at - operation.at : stop - operation.at]
        at = stop


def _apply(data: bytearray, operation: Operation) -> None:
    if operation.kind == "truncate":
        del data[operation.at :]
    else:
        _put(data, operation.at, operation.data)


def _put(data: bytearray, at: int, piece: bytes) -> None:
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(piece)] = piece


def histories(recording: Recording, count: int, seed: int, folder: Path) -> Counter[str]:
    """Cut the power ``count`` times; what was found wrong, with how often, and ``histories``."""
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(len(recording.log) + 1) for _ in range(count))
    images = {name: Image(data) for name, data in recording.base.items()}
    acknowledged = {"journal": 0, "cut": 0, "sink": 0}
    found: Counter[str] = Counter()
    done = 0
    for number in range(len(recording.log) + 1):
        while done < count and cuts[done] == number:
            done += 1
            found["histories"] += 1
            survival, sector = rng.choice(SURVIVAL), rng.choice(SECTORS)
            for name, image in images.items():
                _write(folder / name, image.after(rng, survival, sector))
            found.update(dict.fromkeys(examine(folder, recording, acknowledged), 1))
        if number == len(recording.log):
            break
        operation = recording.log[number]
        if operation.kind == "mark":
            kind, value = operation.mark
            acknowledged[kind] = max(acknowledged[kind], value)
        else:
            images.setdefault(operation.name, Image(None)).follow(operation)
    return found


def acknowledged_up_to(log: Iterable[Operation]) -> dict[str, int]:
    """The last number of each kind that the program was told of."""
    found = {"journal": 0, "cut": 0, "sink": 0}
    for operation in log:
        if operation.kind == "mark":
            kind, value = operation.mark
            found[kind] = max(found[kind], value)
    return found


def _write(path: Path, data: bytes | None) -> None:
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(data)


def examine(folder: Path, recording: Recording, acknowledged: Mapping[str, int]) -> set[str]:
    """Open both files as after a start, and say what is wrong."""
    try:
        state = opening.connect(folder / STATE)
    except (StoreError, sqlite3.Error) as error:
        return {f"the state file cannot be opened: {type(error).__name__}"}
    sink = sqlite3.connect(folder / SINK)
    try:
        return set(_wrong(state, sink, recording, acknowledged))
    except Exception as error:  # noqa: BLE001 - whatever it is, no start should meet it
        return {f"a file cannot be read: {type(error).__name__}"}
    finally:
        state.close()
        sink.close()


def _wrong(
    state: sqlite3.Connection,
    sink: sqlite3.Connection,
    recording: Recording,
    acknowledged: Mapping[str, int],
) -> Iterator[str]:
    truth = recording.truth
    resume = checkpoints.load(state)
    if resume.damaged:
        yield "a checkpoint is damaged"
    if resume.generation < acknowledged["cut"]:
        yield "a checkpoint is lost"
    cut = truth.cuts.get(resume.generation)
    position = cut.positions[SOURCE]["seq"] if cut else 0
    if cut and (resume.positions != cut.positions or resume.states["step"].meta["seq"] != position):
        yield "a checkpoint is not of one moment"
    journal = {row.seq: row.raw for row in tables.blocks(state, 0)}
    if any(truth.raw[seq] != raw for seq, raw in journal.items()):
        yield "the journal has other bytes"
    if not set(range(position + 1, acknowledged["journal"] + 1)) <= journal.keys():
        yield "an acknowledged message is lost"
    letters = state.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
    if letters != truth.letters.get(resume.generation, 0):
        yield "dead letters and checkpoint differ"
    yield from _wrong_rows(state, sink, recording, acknowledged["sink"], resume.outbox_heads)


def _wrong_rows(
    state: sqlite3.Connection,
    sink: sqlite3.Connection,
    recording: Recording,
    acknowledged: int,
    heads: Mapping[str, int],
) -> Iterator[str]:
    """Every row of a checkpoint is in the sink or in the outbox, and the token says which."""
    head = heads.get(TARGET, 0)
    found = sink.execute("SELECT store, seq FROM edgestream_commits").fetchone()
    token = found[1] if found else 0
    if token < acknowledged:
        yield "the sink has lost a commit"
    if token > head:
        yield "the sink has rows of a checkpoint that is lost"
    query = "SELECT batch, count(*) FROM rows WHERE batch > 0 GROUP BY batch"
    written = dict(sink.execute(query))
    if written != {batch: recording.truth.rows[batch] for batch in range(1, token + 1)}:
        yield "the sink's rows and its token differ"
    waiting = dict(state.execute("SELECT seq, n FROM outbox WHERE sink = ?", (TARGET,)))
    if not set(range(token + 1, head + 1)) <= waiting.keys():
        yield "a row is neither in the sink nor in the outbox"


def _pragma(place: Any, value: str) -> Callable[[], None]:
    def apply() -> None:
        kept = tuple(each for each in place._PRAGMAS if "synchronous" not in each)
        assert len(kept) == len(place._PRAGMAS) - 1, f"{place.__name__} sets no synchronous"
        place._PRAGMAS = (*kept, f"PRAGMA synchronous={value}")

    return apply


def _no_sync() -> None:
    """The disk says that it has synced, and has not."""
    follow = Image.follow

    def mutant(self: Image, operation: Operation) -> None:
        if operation.kind != "sync":
            follow(self, operation)

    Image.follow = mutant  # type: ignore[method-assign]


def _told() -> None:
    commit = StoreThread._commit
    StoreThread._commit = _tell_before_commit(commit)  # type: ignore[method-assign]


def _apart() -> None:
    checkpoints.save = _outbox_apart(checkpoints.save)


MUTANTS: dict[str, Callable[[], None]] = {
    "state-synchronous-off": _pragma(opening_module, "OFF"),
    "state-synchronous-normal": _pragma(opening_module, "NORMAL"),
    "sink-synchronous-off": _pragma(sqlite_session, "OFF"),
    "sink-synchronous-normal": _pragma(sqlite_session, "NORMAL"),
    "told-before-commit": _told,
    "outbox-apart": _apart,
    "disk-lies": _no_sync,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all histories."""

    histories: int
    seeds: int
    violations: Mapping[str, int]
    seconds: float


def one_workload(job: tuple[int, int, str]) -> Counter[str]:
    """The histories of the workload of a seed: (seed, histories, name of a mutant or nothing)."""
    seed, count, mutant = job
    if mutant:
        MUTANTS[mutant]()
    memory = Path("/dev/shm")
    folder = Path(
        tempfile.mkdtemp(prefix="edgestream-power-", dir=memory if memory.is_dir() else None)
    )
    try:
        return histories(record(seed), count, seed, folder)
    finally:
        shutil.rmtree(folder)


def run(count: int, *, mutant: str = "", processes: int = 2, first: int = 1) -> Report:
    """``count`` histories, each workload in a process of its own."""
    began = time.monotonic()
    jobs = []
    while count > 0:
        jobs.append((first + len(jobs), min(count, PER_WORKLOAD), mutant))
        count -= PER_WORKLOAD
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(processes, maxtasksperchild=1) as pool:
        found = sum(pool.imap_unordered(one_workload, jobs), Counter[str]())
    made = found.pop("histories", 0)
    return Report(made, len(jobs), dict(found), round(time.monotonic() - began, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--mutants", action="store_true", help="1,000 histories of each mistake")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    given = parser.parse_args()
    report = run(given.histories, first=given.seed)
    print(json.dumps(asdict(report), indent=2), flush=True)
    missed = 0
    for name in MUTANTS if given.mutants else ():
        found = run(1_000, mutant=name)
        missed += not found.violations
        print(
            f"{'caught' if found.violations else 'MISSED'}  {name}: {found.violations}", flush=True
        )
    raise SystemExit(bool(report.violations) or missed > 0)


if __name__ == "__main__":
    main()
