"""Sources, operators and sinks in memory, for tests of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar

import numpy as np

from edgestream.batch import Batch, Strings
from edgestream.component import (
    MAIN,
    Context,
    Operator,
    Outputs,
    Payloads,
    Position,
    Sink,
    Source,
    State,
    Token,
    component,
)
from edgestream.config.fields import option
from edgestream.errors import Disconnected, Rejected


class Wire:
    """The other side of a `Feed`: what it sends, and what was acknowledged."""

    def __init__(self, blocks: Iterable[list[bytes]] = (), *, ends: bool = False) -> None:
        self.blocks = list(blocks)
        self.ends = ends
        self.breaks_after: int | None = None
        self.next = 0
        self.acknowledged: list[int] = []
        self.recalled: list[list[bytes]] = []
        self.opened = 0
        self.down = False


@component("feed")
class Feed(Source):
    """Blocks of payloads from a `Wire`; cannot replay."""

    wire: Any = option(help="The other side.")

    async def open(self, ctx: Context, resume: Position | None) -> None:
        if self.wire.down:
            raise Disconnected("the wire is down")
        self.wire.opened += 1

    async def batches(self) -> AsyncIterator[Payloads]:
        while True:
            if self.wire.breaks_after == self.wire.next:
                self.wire.breaks_after = None
                raise Disconnected("the wire broke")
            if self.wire.next < len(self.wire.blocks):
                payloads = self.wire.blocks[self.wire.next]
                self.wire.next += 1
                yield Payloads(payloads, received=1, raw=b"\n".join(payloads))
            elif self.wire.ends:
                return
            await asyncio.sleep(0.001)

    def unpack(self, raw: bytes, received: int) -> Payloads:
        return Payloads(raw.split(b"\n"), received=received, raw=raw)

    def recall(self, blocks: Iterable[bytes]) -> None:
        self.wire.recalled.append(list(blocks))

    async def commit(self, items: int) -> None:
        self.wire.acknowledged.append(items)

    async def close(self) -> None:
        pass


class Table:
    """What a `Memory` sink has committed."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.token: Token | None = None
        self.tokens: list[Token | None] = []
        self.fail: list[Exception] = []
        self.opened = 0
        self.flushes = 0
        self.lose_replies = 0


@component("memory")
class Memory(Sink):
    """Rows in a list, with the token in the same transaction."""

    delivery: ClassVar[Any] = "transactional"
    table: Any = option(help="Where rows go.")

    async def open(self, ctx: Context) -> Token | None:
        self._raise()
        self.table.opened += 1
        self.open_rows: list[dict[str, Any]] = []
        return self.table.token  # type: ignore[no-any-return]

    async def write(self, batch: Batch) -> None:
        self._raise()
        rows = batch.rows()
        bad = {i: "it says bad" for i, row in enumerate(rows) if row.get("device") == "bad"}
        self.open_rows += [row for i, row in enumerate(rows) if i not in bad]
        if bad:
            raise Rejected(bad)

    async def flush(self, token: Token | None) -> None:
        self._raise()
        self.table.flushes += 1
        self.table.rows += self.open_rows
        self.table.token = token
        self.table.tokens.append(token)
        self.open_rows = []
        if self.table.lose_replies:
            self.table.lose_replies -= 1
            raise Disconnected("the reply to the commit is lost")

    async def close(self) -> None:
        self.open_rows = []

    def _raise(self) -> None:
        if self.table.fail:
            raise self.table.fail.pop(0)


@component("memory_upsert")
class MemoryUpsert(Memory):
    """The same without transactions."""

    delivery: ClassVar[Any] = "idempotent"

    async def open(self, ctx: Context) -> Token | None:
        await super().open(ctx)
        return None


@component("tally")
class Tally(Operator):
    """Counts rows by device; gives all counts when the watermark passes ``every`` seconds."""

    every: int = option(10, help="Seconds.")
    fail_on: str = option("", help="A device that makes it fail.")

    def process(self, batch: Batch) -> Outputs:
        counts = self.__dict__.setdefault("counts", {})
        for device in batch["device"].to_list():
            if device == self.fail_on:
                raise RuntimeError(f"cannot count {device}")
            counts[device] = counts.get(device, 0) + 1
        return ()

    def advance(self, watermark: int) -> Outputs:
        counts: dict[str, int] = self.__dict__.setdefault("counts", {})
        if not counts or watermark < self.every * 1_000_000_000:
            return ()
        names = sorted(counts)
        columns = {"device": Strings.of(names), "n": np.array([counts[n] for n in names])}
        self.__dict__["counts"] = {}
        return [(MAIN, Batch(columns, np.zeros(len(names), np.int64), ("device",)))]

    def snapshot(self) -> State:
        return State(1, {"counts": dict(self.__dict__.get("counts", {}))}, {})

    def restore(self, saved: State) -> None:
        self.__dict__["counts"] = dict(saved.meta["counts"])
