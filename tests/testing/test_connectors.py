"""The kit itself: an honest sink and source pass, and each broken promise is found."""

import asyncio
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from edgestream.batch import Batch
from edgestream.clock import ManualClock
from edgestream.component import (
    Context,
    Payloads,
    Position,
    Sink,
    SinkDelivery,
    Source,
    Token,
    component,
)
from edgestream.errors import Disconnected, Rejected
from edgestream.testing.connectors import (
    SINK_BEHAVIOURS,
    SOURCE_BEHAVIOURS,
    SinkCase,
    SourceCase,
    batch,
    check_sink,
    check_source,
    context,
    counts,
)

REFUSED = (batch([1, -1, 2]), frozenset({1}))


class Server:
    """A database in memory: places hold rows, tokens stand beside them."""

    def __init__(self) -> None:
        self.places: dict[str, list[dict[str, Any]]] = {}
        self.tokens: dict[str, Token] = {}
        self.life = 0
        self.up = True

    def restart(self) -> None:
        self.life += 1


@component("memory")
class Memory(Sink):
    """Rows in memory.

    Delivery: transactional.
    """

    delivery: ClassVar[SinkDelivery] = "transactional"

    def __init__(self, server: Server, place: str = "place") -> None:
        self.server, self.place = server, place
        self.rows: list[dict[str, Any]] | None = None
        self.ctx: Context | None = None
        self.life = 0

    async def open(self, ctx: Context) -> Token | None:
        if not self.server.up:
            raise Disconnected("the server is not there; start it")
        self.ctx, self.life = ctx, self.server.life
        self.rows = deepcopy(self.server.places.get(self.place, []))
        return self.server.tokens.get(ctx.id)

    def connected(self) -> list[dict[str, Any]]:
        if self.rows is None or self.life != self.server.life:
            raise Disconnected("the server went away in the middle")
        return self.rows

    async def write(self, batch: Batch) -> None:
        rows = self.connected()
        bad: dict[int, str] = {}
        for i, row in enumerate(batch.rows()):
            if row["n"] < 0:
                bad[i] = "negative"
                continue
            if batch.keys:
                rows[:] = [old for old in rows if any(old.get(k) != row[k] for k in batch.keys)]
            rows.append(row)
        if bad:
            raise Rejected(bad)

    async def flush(self, token: Token | None) -> None:
        self.server.places[self.place] = deepcopy(self.connected())
        if token is not None and self.ctx is not None:
            self.server.tokens[self.ctx.id] = token

    async def close(self) -> None:
        self.rows = None


class Eager(Memory):
    async def write(self, batch: Batch) -> None:
        try:
            await super().write(batch)
        finally:
            await super().flush(None)


class Doubling(Memory):
    async def write(self, batch: Batch) -> None:
        await super().write(Batch(batch.columns, batch.times))


class Forgetful(Memory):
    async def flush(self, token: Token | None) -> None:
        await super().flush(None)


class Mixing(Memory):
    async def open(self, ctx: Context) -> Token | None:
        await super().open(ctx)
        return next(iter(self.server.tokens.values()), None)


class Swallowing(Memory):
    async def flush(self, token: Token | None) -> None:
        try:
            await super().flush(token)
        except Disconnected:
            return


class AllOrNothing(Memory):
    async def write(self, batch: Batch) -> None:
        if (batch["n"] < 0).any():
            raise Rejected(dict.fromkeys(range(len(batch)), "one was bad"))
        await super().write(batch)


class Terse(Memory):
    async def open(self, ctx: Context) -> Token | None:
        if not self.server.up:
            raise Disconnected("no")
        return await super().open(ctx)


class ClosesOnce(Memory):
    async def close(self) -> None:
        if self.rows is None:
            raise RuntimeError("not open")
        await super().close()


def sink_case(cls: type[Memory]) -> SinkCase:
    server, gone = Server(), Server()
    gone.up = False
    return SinkCase(
        lambda place: cls(server, place),
        lambda place: server.places.get(place, []),
        server.restart,
        REFUSED,
        lambda: cls(gone),
    )


async def failures(behaviours: Any, case: Any) -> set[str]:
    failed = set()
    for behaviour in behaviours:
        try:
            await behaviour(case, behaviour.__name__)
        except (AssertionError, RuntimeError, Disconnected):
            failed.add(behaviour.__name__)
    return failed


async def test_an_honest_sink_passes() -> None:
    case = sink_case(Memory)
    await check_sink(
        case.make,
        case.read,
        restart=case.restart,
        refused=case.refused,
        unreachable=case.unreachable,
    )


@pytest.mark.parametrize(
    ("cls", "found"),
    [
        (Memory, set()),
        (Eager, {"loses_nothing_unflushed", "keeps_the_token"}),
        (
            Doubling,
            {"takes_a_batch_twice", "keeps_the_last_of_a_key"},
        ),
        (Forgetful, {"keeps_the_token", "comes_back_after_a_restart"}),
        (
            Mixing,
            {"keeps_the_token", "loses_nothing_unflushed", "comes_back_after_a_restart"},
        ),
        (AllOrNothing, {"rejects_only_bad_rows"}),
        (Terse, {"says_what_is_missing"}),
        (ClosesOnce, {"closes_at_any_time", "says_what_is_missing"}),
    ],
)
async def test_each_broken_promise_of_a_sink_is_found(cls: type[Memory], found: set[str]) -> None:
    assert await failures(SINK_BEHAVIOURS, sink_case(cls)) == found


async def test_a_swallowed_disconnect_is_found() -> None:
    class Silent(Swallowing):
        async def write(self, batch: Batch) -> None:
            try:
                await super().write(batch)
            except Disconnected:
                return

    assert await failures(SINK_BEHAVIOURS, sink_case(Silent)) == {"comes_back_after_a_restart"}


async def test_a_failure_names_its_behaviour() -> None:
    case = sink_case(Forgetful)
    with pytest.raises(AssertionError) as caught:
        await check_sink(case.make, case.read)
    assert "behaviour keeps_the_token: A transactional sink" in "".join(caught.value.__notes__)


class Wire:
    """A line between a feeder and a source; taking it away ends every reader."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.up = True

    def feed(self, payloads: Any) -> None:
        for payload in payloads:
            self.queue.put_nowait(payload)

    def restart(self) -> None:
        self.queue.put_nowait(None)


@component("wire")
class Reader(Source):
    """Payloads from a wire.

    Delivery: journalled.
    """

    columns: ClassVar[dict[str, str]] = {"size": "The length of the payload."}

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def open(self, ctx: Context, resume: Position | None) -> None:
        if not self.wire.up:
            raise Disconnected("the wire is cut; mend it")

    async def batches(self) -> AsyncIterator[Payloads | Batch]:
        while (payload := await self.wire.queue.get()) is not None:
            yield self.unpack(payload, 1)
        raise Disconnected("the wire was cut; waiting for it")

    def unpack(self, raw: bytes, received: int) -> Payloads:
        return Payloads([raw], {"size": np.array([len(raw)])}, received, raw)

    async def close(self) -> None:
        pass


class Undocumented(Reader):
    columns: ClassVar[dict[str, str]] = {}


class Lossy(Reader):
    def unpack(self, raw: bytes, received: int) -> Payloads:
        made = super().unpack(raw, received)
        return made if raw.endswith(b"0}") else Payloads([raw], made.columns, received, raw[:-1])


class Blind(Reader):
    async def batches(self) -> AsyncIterator[Payloads | Batch]:
        while (payload := await self.wire.queue.get()) is not None:
            yield self.unpack(payload, 1)


def source_case(cls: type[Reader]) -> SourceCase:
    wire, cut = Wire(), Wire()
    cut.up = False
    return SourceCase(lambda: cls(wire), wire.feed, wire.restart, lambda: cls(cut))


async def test_an_honest_source_passes() -> None:
    case = source_case(Reader)
    await check_source(case.make, case.feed, restart=case.restart, unreachable=case.unreachable)


@pytest.mark.parametrize(
    ("cls", "found"),
    [
        (Reader, set()),
        (Undocumented, {"gives_the_columns_it_names"}),
        (Lossy, {"unpacks_what_it_packed"}),
        (Blind, {"comes_back_after_a_restart"}),
    ],
)
async def test_each_broken_promise_of_a_source_is_found(cls: type[Reader], found: set[str]) -> None:
    assert await failures(SOURCE_BEHAVIOURS, source_case(cls)) == found


async def test_the_smallest_connector_of_the_docs_passes(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "connectors.md"
    source = next(b for b in page.read_text().split("```python\n") if "class Folder" in b)
    names: dict[str, Any] = {}
    exec(source.partition("```")[0], names)
    lines = [line for line in source.partition("```")[0].splitlines() if line]
    assert f"Complete, {len(lines)} lines without" in page.read_text()

    def make(place: str) -> Sink:
        (tmp_path / place).mkdir(exist_ok=True)
        made = names["Folder"](str(tmp_path / place))
        assert isinstance(made, Sink)
        return made

    def read(place: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in (tmp_path / place).glob("*.json")]

    await check_sink(
        make,
        read,
        refused=(batch([1, 2]).with_columns(device=["../d0", "d1"]), frozenset({0})),
        unreachable=lambda: names["Folder"](str(tmp_path / "nothing")),
    )


def test_a_context_counts_in_memory() -> None:
    clock = ManualClock(5)
    ctx = context("p.s", clock)
    ctx.metrics.add("damaged", 2)
    ctx.metrics.add("damaged")
    assert counts(ctx) == {"damaged": 3}
    assert (ctx.id, ctx.log.name, ctx.clock.wall()) == ("p.s", "edgestream.p.s", 5)
