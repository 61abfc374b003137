"""What every source must do; `check_source` runs it all.

A behaviour is a function of the case and a name of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from edgestream.batch import Batch, as_column, to_python
from edgestream.component import Payloads, Source
from edgestream.errors import Disconnected
from edgestream.testing.connectors.given import (
    Maybe,
    context,
    given,
    raised,
    refuses_to_open,
    run,
    speaks,
)

Item = Payloads | Batch


@dataclass(frozen=True)
class SourceCase:
    """What the kit must be told of a source; see `check_source`."""

    make: Callable[[], Source]
    feed: Callable[[Sequence[bytes]], Maybe[object]]
    restart: Callable[[], Maybe[object]] | None = None
    unreachable: Callable[[], Source] | None = None
    example: bytes = b'{"t": %d}'
    seconds: float = 10.0

    def payloads(self, count: int, first: int = 0) -> list[bytes]:
        """Payloads that can be told apart."""
        return [self.example % (first + i) for i in range(count)]

    async def read(self, source: Source, count: int) -> list[Item]:
        """Items of an open source until ``count`` payloads have come."""
        items: list[Item] = []
        async with asyncio.timeout(self.seconds), aclosing(source.batches()) as batches:  # type: ignore[type-var]
            async for item in batches:
                items.append(item)
                if sum(map(len, items)) >= count:
                    break
        return items


async def check_source(
    make: Callable[[], Source],
    feed: Callable[[Sequence[bytes]], Maybe[object]],
    *,
    restart: Callable[[], Maybe[object]] | None = None,
    unreachable: Callable[[], Source] | None = None,
    example: bytes = b'{"t": %d}',
) -> None:
    """Run every behaviour of `SOURCE_BEHAVIOURS` that applies.

    ``make`` makes a new source of payloads; ``feed`` makes its counterpart send them (each
    behaviour opens the source first); ``restart`` takes the counterpart away and brings it back;
    ``unreachable`` makes a source whose counterpart is not there; ``example`` is a payload with a
    ``%d`` in it.
    """
    case = SourceCase(make, feed, restart, unreachable, example)
    for behaviour in SOURCE_BEHAVIOURS:
        await run(behaviour, case)


async def gives_what_was_sent(case: SourceCase, name: str) -> None:
    """The payloads come in order, none changed, lost or doubled, with a stamp."""
    source = case.make()
    await source.open(context(name), None)
    sent = case.payloads(20)
    await given(case.feed(sent))
    items = await case.read(source, len(sent))
    await source.commit(len(items))
    await source.close()
    assert _payloads(items) == sent, f"got {_payloads(items)}"
    assert all(item.received > 0 for item in items if isinstance(item, Payloads)), "no stamp"


async def gives_the_columns_it_names(case: SourceCase, name: str) -> None:
    """Metadata has one value a payload, under the names that the class documents."""
    source = case.make()
    await source.open(context(name), None)
    await given(case.feed(case.payloads(3)))
    items = await case.read(source, 3)
    await source.close()
    for item in items:
        if isinstance(item, Payloads):
            assert all(len(values) == len(item) for values in item.columns.values())
            known = source.schema()
            ids = source.payload_ids()
            named = set(item.columns) - ({ids.column} if ids else set())
            assert known.open or named <= set(known.fields), (item.columns, known)


async def unpacks_what_it_packed(case: SourceCase, name: str) -> None:
    """``unpack(raw)`` gives the same payloads and columns again, on a source never opened."""
    source = case.make()
    if source.replayable:
        return
    await source.open(context(name), None)
    sent = case.payloads(20)
    await given(case.feed(sent))
    items = await case.read(source, len(sent))
    await source.close()
    for item in items:
        assert isinstance(item, Payloads), "a source that cannot replay gives Payloads"
        again = case.make().unpack(item.raw, item.received)
        assert list(again.payloads) == list(item.payloads), (again.payloads, item.payloads)
        assert _plain(again.columns) == _plain(item.columns), (again.columns, item.columns)
        assert again.received == item.received


async def comes_back_after_a_restart(case: SourceCase, name: str) -> None:
    """A lost counterpart is `Disconnected` with words; after close and open it goes on."""
    if case.restart is None:
        return
    source = case.make()
    ctx = context(name)
    await source.open(ctx, None)
    await given(case.feed(case.payloads(3)))
    items = await case.read(source, 3)
    await source.commit(len(items))
    resume = source.position()
    await given(case.restart())
    error = await raised(case.read(source, 1), Disconnected)
    assert error is not None, "the counterpart went away and the source did not notice"
    assert speaks(error), f"{str(error)!r} does not say what happened"
    await source.close()
    if not source.replayable:
        source.recall([item.raw for item in items if isinstance(item, Payloads)])
    await source.open(ctx, resume if source.replayable else None)
    await given(case.feed(case.payloads(3, first=3)))
    again = await case.read(source, 3)
    await source.close()
    assert _payloads(again) == case.payloads(3, first=3), f"got {_payloads(again)}"


async def closes_at_any_time(case: SourceCase, name: str) -> None:
    """Closing is safe before the open and twice, and the same object opens again."""
    source = case.make()
    await source.close()
    for _ in range(2):
        await source.open(context(name), None)
        await source.close()
        await source.close()


async def says_what_is_missing(case: SourceCase, name: str) -> None:
    """Without its counterpart the open raises `Disconnected` and says what to look at."""
    if case.unreachable is not None:
        source = case.unreachable()
        await refuses_to_open(source, source.open(context(name), None))


SOURCE_BEHAVIOURS: tuple[Callable[[SourceCase, str], Awaitable[None]], ...] = (
    gives_what_was_sent,
    gives_the_columns_it_names,
    unpacks_what_it_packed,
    comes_back_after_a_restart,
    closes_at_any_time,
    says_what_is_missing,
)


def _payloads(items: Sequence[Item]) -> list[bytes]:
    return [bytes(one) for item in items if isinstance(item, Payloads) for one in item.payloads]


def _plain(columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: to_python(as_column(values)) for name, values in columns.items()}
