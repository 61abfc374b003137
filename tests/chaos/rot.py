"""A disk that refuses, and a disk that forgets: calls that fail in turn, and bytes that rot.

    python -m tests.chaos.rot --calls 400 --damages 5000

*Refusals*: the workload of `tests.chaos.power` runs again and again, and the n-th call of SQLite to
the disk fails with an I/O error, n = 1, 2, 3 …. The store must say so; opened again, it must hold
everything it had acknowledged.

*Damage*: a state file that was left by a crash gets bit flips, zeroed pages, garbage or a shorter
end, and is opened again. Allowed is a refusal, a generation that is passed over with a word, or
the right content. Not allowed is a wrong content in silence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgestream.errors import EdgestreamError, StoreError
from edgestream.packing import decode_batch
from edgestream.store import checkpoints, opening, tables
from tests.chaos.disk import EIO, Disk, Kind, Operation
from tests.chaos.power import (
    SOURCE,
    STATE,
    TARGET,
    Image,
    Recording,
    Workload,
    acknowledged_up_to,
    examine,
    made,
    record,
    small_logs,
)


def refuse(number: int, *, steps: int = 12, seed: int = 3) -> set[str] | None:
    """The ``number``-th call fails; what is wrong afterwards, or None where it was not reached."""
    folder = Path(tempfile.mkdtemp(prefix="edgestream-rot-"))
    disk = Disk()
    workload = Workload(folder, disk, seed)
    hit = False

    def fault(kind: Kind, _: str) -> int:
        nonlocal hit
        if disk.calls == number and kind in EIO:
            hit = True
            return EIO[kind]
        return 0

    try:
        with small_logs(8), disk.around():
            asyncio.run(made(folder))
            disk.log.clear()
            disk.calls = 0
            disk.fault = fault
            try:
                asyncio.run(workload.run(steps))
            except (EdgestreamError, OSError) as error:
                told = str(error)
            else:
                told = ""
            disk.fault = None
        if not hit:
            return None
        store = sqlite3.connect(folder / STATE)
        identity = store.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0]
        store.close()
        recording = Recording(identity, {}, disk.log, workload.truth)
        wrong = examine(folder, recording, acknowledged_up_to(disk.log))
        return {f"{each} (told: {told or 'nothing'})" for each in wrong}
    finally:
        shutil.rmtree(folder)


def left_by_a_crash(seed: int) -> tuple[Recording, dict[str, bytes]]:
    """A recorded workload, and its files as a crash of the process leaves them at the end."""
    recording = record(seed)
    last = max(i for i, op in enumerate(recording.log) if op.kind == "mark")
    images = {name: Image(data) for name, data in recording.base.items()}
    for operation in recording.log[: last + 1]:
        if operation.kind != "mark":
            images.setdefault(operation.name, Image(None)).follow(operation)
    files = {name: image.after(random.Random(0), 1.0, 512) for name, image in images.items()}
    return recording, {name: data for name, data in files.items() if data is not None}


def damage(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """One kind of damage, and what the file is then."""
    kind = rng.choice(("flip", "zeroed page", "garbage", "shorter"))
    at = rng.randrange(len(data))
    if kind == "flip":
        return kind, data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    page = at // 4096 * 4096
    if kind == "zeroed page":
        return kind, data[:page] + bytes(len(data[page : page + 4096])) + data[page + 4096 :]
    if kind == "garbage":
        size = min(64, len(data) - at)
        return kind, data[:at] + rng.randbytes(size) + data[at + size :]
    return kind, data[:at]


def look(folder: Path, recording: Recording, log: list[Operation]) -> str:
    """What a start makes of the state file: ``refused``, ``told``, ``right`` or what is wrong."""
    try:
        connection = opening.connect(folder / STATE)
    except (StoreError, sqlite3.Error):
        return "refused"
    try:
        return _content(connection, recording, acknowledged_up_to(log))
    except (StoreError, sqlite3.Error):
        return "refused when read"
    finally:
        connection.close()


def _content(
    connection: sqlite3.Connection, recording: Recording, acknowledged: dict[str, int]
) -> str:
    truth = recording.truth
    resume = checkpoints.load(connection)
    if resume.damaged:
        return "told: a generation is passed over"
    cut = truth.cuts.get(resume.generation)
    if cut is None or resume.generation < acknowledged["cut"]:
        return "SILENT: a checkpoint is lost"
    if resume.positions != cut.positions:
        return "SILENT: another position"
    journal = {row.seq: row.raw for row in tables.blocks(connection, 0)}
    if any(truth.raw.get(seq) != raw for seq, raw in journal.items()):
        return "SILENT: other bytes in the journal"
    position = cut.positions[SOURCE]["seq"]
    if not set(range(position + 1, acknowledged["journal"] + 1)) <= journal.keys():
        return "SILENT: an acknowledged message is lost"
    return _outbox(connection, recording)


def _outbox(connection: sqlite3.Connection, recording: Recording) -> str:
    waiting = connection.execute("SELECT seq, data FROM outbox WHERE sink = ?", (TARGET,))
    for seq, data in waiting.fetchall():
        batch = decode_batch(data)
        if list(batch["batch"]) != [seq] * recording.truth.rows.get(seq, -1):
            return "SILENT: other rows in the outbox"
    return "right"


def damages(count: int, seed: int = 1) -> Counter[str]:
    """Spoil the state file or its log ``count`` times; what came of it, by file."""
    rng = random.Random(seed)
    recording, files = left_by_a_crash(seed)
    found: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp(prefix="edgestream-rot-"))
    try:
        for _ in range(count):
            name = rng.choice([name for name in files if name.startswith(STATE)])
            kind, spoilt = damage(files[name], rng)
            for each, data in files.items():
                (folder / each).write_bytes(spoilt if each == name else data)
            (folder / f"{STATE}-shm").unlink(missing_ok=True)
            part = "log" if name.endswith("-wal") else "file"
            found[f"{part}, {kind}: {look(folder, recording, list(recording.log))}"] += 1
    finally:
        shutil.rmtree(folder)
    return found


def refusals(most: int) -> Iterator[tuple[int, set[str]]]:
    """Every call in turn, up to ``most`` or the last."""
    for number in range(1, most + 1):
        wrong = refuse(number)
        if wrong is None:
            return
        yield number, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--damages", type=int, default=5_000)
    given = parser.parse_args()
    failed = [(number, sorted(wrong)) for number, wrong in refusals(given.calls) if wrong]
    print(json.dumps({"calls": given.calls, "wrong": failed}), flush=True)
    found = damages(given.damages)
    print(json.dumps(dict(found.most_common()), indent=2))
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
