"""Sending dead letters through a pipeline again, while no worker runs it.

Rules: a letter goes in the checkpoint that holds its outcome; what fails again comes back as a new
letter with one attempt more; what cannot be sent stays as it is. No source is opened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgestream.batch import Batch, Strings
from edgestream.clock import Clock
from edgestream.component import Payloads
from edgestream.graph import Arrived
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Item
from edgestream.runtime.news import DeadLetterNews
from edgestream.runtime.running import Running
from edgestream.runtime.task import Task
from edgestream.spec import PipelineSpec
from edgestream.store.letters import DeadLetter, Wanted, row_of
from edgestream.store.store import Store

PAGE = 500
"""So many letters share a checkpoint."""


class CannotResend(Exception):
    """Why a letter cannot be sent through the pipeline as it is now."""


@dataclass(frozen=True, slots=True)
class Resent:
    """How many letters were sent, how many came back, and which could not be sent and why."""

    sent: int
    back: int
    left: dict[int, str]


class Resending(Running):
    """A pipeline that runs only for its dead letters."""

    def __init__(
        self,
        spec: PipelineSpec,
        folder: Path,
        clock: Clock,
        wanted: Wanted,
        allowed: Sequence[str] = (),
    ) -> None:
        """Send the letters that are wanted; raises `ConfigError`."""
        super().__init__(spec, folder, clock, allowed)
        self._wanted = wanted
        self.left: dict[int, str] = {}
        self.sent = 0

    async def _replay(self, store: Store, task: Task, news: DeadLetterNews) -> None:
        await super()._replay(store, task, news)
        letters = await store.dead_letters(self._wanted)
        for attempts in sorted({letter.attempts for letter in letters}):
            alike = [letter for letter in letters if letter.attempts == attempts]
            for begin in range(0, len(alike), PAGE):
                await self._send(task, alike[begin : begin + PAGE])
        self.readers.clear()
        self.stop()

    async def _send(self, task: Task, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            try:
                task.resend(letter, resend)
            except CannotResend as error:
                self.left[letter.id] = str(error)
            else:
                self.sent += 1
        await task.finish()


async def send_again(
    spec: PipelineSpec, folder: Path, clock: Clock, wanted: Wanted, allowed: Sequence[str] = ()
) -> Resent:
    """Send letters through a pipeline; raises `StoreLocked` where a worker runs it."""
    running = Resending(spec, folder, clock, wanted, allowed)
    await running.run()
    back = running.task.letters.count if running.task is not None else 0
    return Resent(running.sent, back, running.left)


def resend(
    flow: Flow, letter: DeadLetter, now: int, monotonic: int
) -> tuple[Arrived, list[DeadLetter]]:
    """What a letter leads to now: rows at sinks, and letters where it fails again.

    Raises `CannotResend`, with nothing changed.
    """
    if letter.form == "text":
        raise CannotResend("an older edgestream kept it as text without the kinds of its columns")
    if letter.form == "block":
        raise CannotResend("its bytes are not those that were stored")
    if letter.stage == "write":
        if letter.step not in flow.graph.exits:
            raise CannotResend(f"there is no sink {letter.step!r} any more")
        return [(letter.step, _row(letter))], []
    if letter.stage == "operator":
        if letter.step not in flow.graph.nodes:
            raise CannotResend(f"there is no step {letter.step!r} any more")
        arrived = flow.graph.push_to(letter.step, _row(letter))
        made = flow.letters(now, json.loads(letter.position))
        return arrived, [replace(one, attempts=letter.attempts + 1) for one in made]
    return _read_again(flow, letter, now, monotonic)


def _read_again(
    flow: Flow, letter: DeadLetter, now: int, monotonic: int
) -> tuple[Arrived, list[DeadLetter]]:
    if letter.step not in flow.graph.entries:
        raise CannotResend(f"there is no source {letter.step!r} any more")
    if letter.form == "line":
        raise CannotResend("it is a damaged line of a file; correct the line in a file of its own")
    data = _row(letter) if letter.form == "row" else _payloads(letter)
    item = Item(letter.step, data, {})
    passed = flow.push(item, flow.read(item, letter.received, again=True), now, monotonic)
    made = [
        replace(
            one,
            attempts=letter.attempts + 1,
            **(
                {"position": letter.position, "beside": letter.beside, "once": letter.once}
                if one.stage in ("decode", "time")
                else {"position": letter.position}
            ),
        )
        for one in passed.letters
    ]
    return passed.arrived, made


def _row(letter: DeadLetter) -> Batch:
    row = row_of(letter)
    if row is None:
        raise CannotResend("its bytes are not those that were stored")
    return row


def _payloads(letter: DeadLetter) -> Payloads:
    """The payload as it came, with its metadata."""
    columns = {
        name: Strings.of([value]) if value is None or isinstance(value, str) else np.array([value])
        for name, value in json.loads(letter.beside).items()
    }
    return Payloads([letter.data], columns, letter.received)
