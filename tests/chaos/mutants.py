"""Deliberate mistakes in the code of delivery, each of which the short checks must see.

    python -m tests.chaos.mutants                    # all, commits slowed by 0, 20 and 200 ms
    python -m tests.chaos.mutants --only no-replay --commit-delay 20

A mutant takes the place of a function of the runtime by name: one whose function is gone fails,
so none can rot. Every check is also run without its mutant, and must then pass.
Mistakes that only a power cut shows are in `tests.chaos.power`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgestream.component import Token
from edgestream.runtime.reader import Reader
from edgestream.runtime.task import Task
from edgestream.runtime.writer import Writer
from edgestream.sinks.committed import Committed
from edgestream.sinks.output import Output
from edgestream.sinks.sqlite_session import Claim, Session
from edgestream.store import checkpoints
from edgestream.store.checkpoints import Resume
from edgestream.store.tables import Cut, JournalRow
from edgestream.store.thread import Entry, StoreThread
from edgestream_connectors.mqtt.source import Mqtt
from tests.chaos import points, seam, webhook, zombie
from tests.chaos.points import POINTS, Tour, tour
from tests.chaos.worker import Settings

Function = Callable[..., Any]
DELAYS = (0.0, 20.0, 200.0)
READ = 0.035
"""Seconds from a commit to the middle of the next, where reading lingers for 50 ms."""


@dataclass(frozen=True, slots=True)
class Check:
    """Where to die, how often, with which sink."""

    points: tuple[str, ...]
    times: int = 2
    sink: str = "sqlite-append"
    poison: bool = False
    also: bool = False
    """With a second sink."""
    latest: int = 4
    """The last passage of a point at which to die."""
    slow: float = 0
    """Milliseconds before each commit in the short form."""
    at: int = 0
    """The passage to die at, with files; 0 is drawn."""

    def run(self, folder: Path, settings: Settings) -> tuple[bool, str]:
        """Whether all is well, and what was found."""
        chosen = [POINTS[point] for point in self.points]
        found: Tour | webhook.Report
        if self.sink == "file":
            found = webhook.tour(
                folder, chosen, times=self.times, settings=settings, least=100, at=self.at
            )
        else:
            found = tour(
                folder,
                self.sink,
                chosen,
                times=self.times,
                settings=settings,
                poison=self.poison,
                also=self.also,
                latest=self.latest,
            )
        return found.passed, str(found.verdict)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A worker that is frozen while another takes over; ``inside`` a transaction or not."""

    inside: str = ""
    given_up: bool = False
    slow: float = 0

    def run(self, folder: Path, settings: Settings) -> tuple[bool, str]:
        """Whether all is well, and what was found."""
        story = zombie.Story(
            inside=self.inside,
            given_up=self.given_up,
            mutant=settings.mutant,
            slow=settings.slow,
        )
        found = zombie.run(folder, "sqlite", story)
        return found.passed, str(found)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: what is put in the place of which functions."""

    name: str
    what: str
    check: Check | Frozen
    changes: Mapping[str, Callable[[Function], Function]]
    long: bool = False
    """Whether it is made in the long form alone."""

    def apply(self) -> None:
        """Make the mistake in this process."""
        for target, make in self.changes.items():
            seam.replace(target, make)


def _ack_at_once(append: Function) -> Function:
    def mutant(self: Reader, row: JournalRow, size: int) -> None:
        append(self, row, size)
        self.durable(self._opening, self._given)

    return mutant


def _ack_one_more(commit: Function) -> Function:
    async def mutant(self: Mqtt, items: int) -> None:
        await commit(self, items + 1)

    return mutant


def _tell_before_commit(commit: Function) -> Function:
    def mutant(self: StoreThread, connection: sqlite3.Connection, group: list[Entry]) -> None:
        futures = [future for _, future, silence in group if silence != 0]
        self._done.append((futures, [None] * len(futures)))
        self._tell(self.settle)
        time.sleep(0.1)
        commit(self, connection, group)

    return mutant


def _outbox_apart(save: Function) -> Function:
    def mutant(connection: sqlite3.Connection, cut: Cut, tails: Mapping[str, int]) -> None:
        save(connection, replace(cut, outbox=()), tails)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        waiting = [(*row[:2], len(row[2]), checkpoints.encode_batch(row[2])) for row in cut.outbox]
        connection.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?)", waiting)

    return mutant


def _position_in_the_writer(save: Function) -> Function:
    def mutant(connection: sqlite3.Connection, cut: Cut, tails: Mapping[str, int]) -> None:
        newest = connection.execute("SELECT max(seq) FROM journal").fetchone()[0]
        positions = {name: {"seq": newest or 0} for name in cut.positions}
        save(connection, replace(cut, positions=positions), tails)

    return mutant


def _checkpoints_last(commit: Function) -> Function:
    def mutant(self: StoreThread, connection: sqlite3.Connection, group: list[Entry]) -> None:
        commit(self, connection, sorted(group, key=lambda entry: entry[2] == 0))

    return mutant


def _nothing(_: Function) -> Function:
    return lambda *_: None


def _nothing_later(_: Function) -> Function:
    async def mutant(*_: Any) -> None:
        pass

    return mutant


def _no_token(open_: Function) -> Function:
    def mutant(self: Session | Output, *given: Any) -> None:
        open_(self, *given)

    return mutant


def _token_apart(flush: Function) -> Function:
    def mutant(self: Session, token: Any, now: int) -> None:
        flush(self, None, now)
        flush(self, token, now)

    return mutant


def _collect_all(forget: Function) -> Function:
    def mutant(connection: sqlite3.Connection, *more: Any) -> None:
        forget(connection, *more)
        connection.execute("DELETE FROM journal")

    return mutant


def _no_state(restore: Function) -> Function:
    def mutant(self: Any, states: Any, *more: Any) -> None:
        restore(self, {}, *more)

    return mutant


def _no_outbox(load: Function) -> Function:
    def mutant(connection: sqlite3.Connection, **given: Any) -> Resume:
        connection.execute("DELETE FROM outbox")
        found: Resume = load(connection, **given)
        return found

    return mutant


def _numbers_again(resume: Function) -> Function:
    def mutant(self: Task, *given: Any) -> None:
        resume(self, *given)
        self._heads.clear()

    return mutant


def _offer_first(land: Function) -> Function:
    async def mutant(self: Task, cut: Cut, processed: Any) -> None:
        for sink, seq, batch in cut.outbox:
            self._writers[sink].offer(seq, batch)
        if cut.outbox:
            await asyncio.sleep(1.2)  # the next window closes meanwhile
        await land(self, replace(cut, outbox=()), processed)

    return mutant


def _forgotten_before_written(next_: Function) -> Function:
    async def mutant(self: Writer) -> Any:
        group = await next_(self)
        if group and group.batches:
            await self._store.delivered(self.name, group.last)
        return group

    return mutant


def _not_cut(_: Function) -> Function:
    def mutant(self: Output) -> int:
        self._committed.read()
        return os.fstat(self._fd).st_size

    return mutant


def _file_token_apart(write: Function) -> Function:
    def mutant(self: Committed, fd: int, size: int, tokens: Any) -> None:
        write(self, fd, self.size, tokens)
        write(self, fd, size, tokens)

    return mutant


def _drop_letters(checkpoint: Function) -> Function:
    def mutant(self: Task) -> None:
        self.letters.take()
        checkpoint(self)

    return mutant


def _ack_all_parts(durable: Function) -> Function:
    def mutant(self: Reader, opening: int, index: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(READ, lambda: durable(self, opening, max(index, self._given)))

    return mutant


def _first_of_all(save: Function) -> Function:
    def mutant(connection: sqlite3.Connection, cut: Cut, tails: Mapping[str, int]) -> Any:
        first = max(cut.delivered.values(), default=0)
        delivered = dict.fromkeys(cut.delivered, first)
        return save(connection, replace(cut, delivered=delivered), tails)

    return mutant


def _slow_beside(write: Function) -> Function:
    async def mutant(self: Writer, *given: Any) -> None:
        if self.name == "also":
            await asyncio.sleep(2.5)  # the next windows close meanwhile
        await write(self, *given)

    return mutant


def _no_claim(make: Function) -> Function:
    def mutant(self: Session, path: str, table: str, mode: Any, claim: Claim) -> None:
        make(self, path, table, mode, replace(claim, epoch=0))

    return mutant


def _no_epoch(flush: Function) -> Function:
    def mutant(self: Session, token: Token | None, now: int) -> None:
        flush(self, token and replace(token, epoch=0), now)

    return mutant


def _seldom(open_: Function) -> Function:
    def mutant(self: Session, wait: float) -> Any:
        time.sleep(3)  # the older one is quicker
        return open_(self, wait)

    return mutant


def _never(_: Function) -> Function:
    return lambda _: 0


OWNERSHIP = "edgestream.runtime.ownership:"
_ALL = (
    Mutant(
        "ack-at-once",
        "a message is acknowledged when it is handed to the journal, not when it is on disk",
        Check(("append.before", "ack.after"), slow=100),
        {f"{points.READER}_append": _ack_at_once},
    ),
    Mutant(
        "ack-one-more",
        "one read more than is on disk is acknowledged",
        Check(("append.before", "append.after"), latest=30, slow=20),
        {f"{points.MQTT}commit": _ack_one_more},
    ),
    Mutant(
        "told-before-commit",
        "the store says that rows are on disk before it commits",
        Check(("append.before", "ack.after")),
        {f"{points.THREAD}_commit": _tell_before_commit},
    ),
    Mutant(
        "outbox-apart",
        "the rows for the sinks are in another transaction than the checkpoint",
        Check(("save.outbox",)),
        {f"{points.CHECKPOINTS}save": _outbox_apart},
    ),
    Mutant(
        "position-in-the-writer",
        "a checkpoint's position is the newest in the journal when it is written",
        Check(("offer.before",), 6, slow=20),
        {
            f"{points.CHECKPOINTS}save": _position_in_the_writer,
            f"{points.THREAD}_commit": _checkpoints_last,
        },
    ),
    Mutant(
        "no-recognition",
        "what the broker sends again is not recognised",
        Check(("ack.before",)),
        {f"{points.MQTT}recall": _nothing},
    ),
    Mutant(
        "no-replay",
        "what was journalled after the checkpoint is not processed again",
        Check(("process.after", "delivered.after")),
        {f"{points.RUNNING}_replay": _nothing_later},
    ),
    Mutant(
        "journal-forgotten",
        "a checkpoint deletes the whole journal",
        Check(("offer.before",), 3, slow=100),
        {
            f"{points.CHECKPOINTS}_forget_old": _collect_all,
            f"{points.THREAD}_commit": _checkpoints_last,
        },
    ),
    Mutant(
        "no-state",
        "the state of the steps is not restored",
        Check(("offer.after",)),
        {"edgestream.runtime.flow:Flow.restore": _no_state},
    ),
    Mutant(
        "outbox-dropped",
        "rows that no sink has taken are forgotten at the start",
        Check(("write.before",)),
        {f"{points.CHECKPOINTS}load": _no_outbox},
    ),
    Mutant(
        "numbers-again",
        "the numbers of batches begin again after a restart",
        Check(("write.before",)),
        {f"{points.TASK}resume": _numbers_again},
    ),
    Mutant(
        "offered-before-saved",
        "rows go to the sink before their checkpoint is on disk",
        Check(("save.before",), 3),
        {f"{points.TASK}_land": _offer_first},
    ),
    Mutant(
        "forgotten-before-written",
        "rows leave the outbox before the sink has them",
        Check(("sqlite.flush.before",)),
        {f"{points.WRITER}_next": _forgotten_before_written},
    ),
    Mutant(
        "no-token",
        "the sink's token is not looked at after a restart",
        Check(("sqlite.flush.after",)),
        {f"{points.SQLITE}open": _no_token},
    ),
    Mutant(
        "token-apart",
        "the token is in another transaction than its rows",
        Check(("sqlite.token.before",)),
        {f"{points.SQLITE}flush": _token_apart},
    ),
    Mutant(
        "letters-dropped",
        "what cannot be read is acknowledged without being kept",
        Check(("offer.after",), poison=True),
        {f"{points.TASK}_checkpoint": _drop_letters},
    ),
    Mutant(
        "answer-at-once",
        "a request is answered when its rows are handed to the journal",
        Check(("append.before",), 3, "file", slow=20),
        {f"{points.READER}_append": _ack_at_once},
        long=True,
    ),
    Mutant(
        "no-keys",
        "the keys of requests are not looked at",
        Check(("answer.before",), 1, "file"),
        {"edgestream_connectors.http.server:_ids": _nothing},
        long=True,
    ),
    Mutant(
        "file-not-cut",
        "what was not committed of a file stays in it",
        Check(("file.commit.before",), 1, "file"),
        {f"{points.OUTPUT}_restore": _not_cut},
    ),
    Mutant(
        "file-token-ignored",
        "the token beside a file is not looked at after a restart",
        Check(("file.flush.after",), 1, "file"),
        {f"{points.OUTPUT}open": _no_token},
    ),
    Mutant(
        "file-token-apart",
        "the token is written before the size of the file that it belongs to",
        Check(("file.replace.after",), 1, "file", at=1),
        {f"{points.COMMITTED}write": _file_token_apart},
    ),
    Mutant(
        "first-part-acknowledged",
        "everything that was read is acknowledged when the first block of it is on disk",
        Check(("append.before", "append.after"), latest=30, slow=20),
        {f"{points.READER}durable": _ack_all_parts},
    ),
    Mutant(
        "one-sink-for-all",
        "rows leave the outbox when the first of two sinks has them",
        Check(("offer.after",), also=True, latest=8),
        {f"{points.CHECKPOINTS}save": _first_of_all, f"{points.WRITER}_write": _slow_beside},
    ),
    Mutant(
        "no-fencing",
        "the epoch is neither claimed nor looked at",
        Frozen(),
        {f"{points.SQLITE}__init__": _no_claim, f"{points.SQLITE}flush": _no_epoch},
    ),
    Mutant(
        "read-before-claimed",
        "a source is opened before the sinks are claimed",
        Frozen(zombie.INSIDE["sqlite"], given_up=True),
        {f"{OWNERSHIP}Ownership.claimed": _nothing_later},
    ),
    Mutant(
        "pause-unnoticed",
        "a worker that wakes up goes on where it was",
        # a fast disk lets the sink refuse it before it has acknowledged what it read
        Frozen(zombie.INSIDE["sqlite"], slow=40),
        {f"{OWNERSHIP}Pulse.look": _never, f"{points.SQLITE}open": _seldom},
    ),
)
MUTANTS = {mutant.name: mutant for mutant in _ALL}


@dataclass(frozen=True, slots=True)
class Result:
    """Whether a check found something, and what."""

    name: str
    delay: float
    caught: bool
    found: str


def run(check: Check | Frozen, name: str, delay: float) -> Result:
    """A check with a mutant, or with none."""
    folder = Path(tempfile.mkdtemp(prefix="edgestream-chaos-"))
    passed, found = check.run(folder, Settings(delay, mutant=name))
    if passed != bool(name):
        shutil.rmtree(folder)
    return Result(name, delay, not passed, found)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of mutants")
    parser.add_argument("--commit-delay", type=float, nargs="*", default=DELAYS)
    given = parser.parse_args(arguments)
    chosen = [MUTANTS[name] for name in given.only] or list(_ALL)
    caught: set[str] = set()
    alarms = 0
    for delay in given.commit_delay:
        for check in dict.fromkeys(mutant.check for mutant in chosen):
            found = run(check, "", delay)
            alarms += found.caught
            print(f"{delay:4g} ms  unmutated {check}: {found.found}", flush=True)
        for mutant in chosen:
            found = run(mutant.check, mutant.name, delay)
            word = "caught" if found.caught else "MISSED"
            print(f"{delay:4g} ms  {word}  {mutant.name}: {found.found}", flush=True)
            caught |= {mutant.name} if found.caught else set()
    print(f"{len(chosen)} made, {len(caught)} caught, {alarms} false alarms")
    raise SystemExit(len(caught) < len(chosen) or alarms > 0)


if __name__ == "__main__":
    main()
