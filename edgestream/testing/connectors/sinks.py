"""What every sink must do; `check_sink` runs it all.

A behaviour is a function of the case and a place of its own, so that each starts from nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from edgestream.batch import Batch
from edgestream.component import Sink, Token
from edgestream.errors import Disconnected, Fenced, Rejected
from edgestream.testing.connectors.given import (
    STORE,
    Maybe,
    batch,
    context,
    given,
    raised,
    refuses_to_open,
    run,
    speaks,
)

Rows: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class SinkCase:
    """What the kit must be told of a sink; see `check_sink`."""

    make: Callable[[str], Sink]
    read: Callable[[str], Maybe[Rows]]
    restart: Callable[[], Maybe[object]] | None = None
    refused: tuple[Batch, frozenset[int]] | None = None
    unreachable: Callable[[], Sink] | None = None

    async def seen(self, place: str) -> list[tuple[str, int]]:
        """(device, n) of every row another program sees now, sorted."""
        rows = await given(self.read(place))
        return sorted((str(row["device"]), int(row["n"])) for row in rows)

    async def expect(self, place: str, *batches: Batch) -> None:
        """Exactly these rows are there; an ``at_least_once`` sink may show one twice."""
        seen = await self.seen(place)
        if self.make(place).delivery == "at_least_once":
            seen = sorted(set(seen))
        wanted = sorted(pair for each in batches for pair in pairs(each))
        assert seen == wanted, f"another program sees {seen}, it should see {wanted}"


async def check_sink(
    make: Callable[[str], Sink],
    read: Callable[[str], Maybe[Rows]],
    *,
    restart: Callable[[], Maybe[object]] | None = None,
    refused: tuple[Batch, frozenset[int]] | None = None,
    unreachable: Callable[[], Sink] | None = None,
) -> None:
    """Run every behaviour of `SINK_BEHAVIOURS` that applies.

    ``make(place)`` makes a new sink that writes to a place of that name (a table, a key, a file);
    ``read(place)`` gives what another program sees there: mappings with at least ``device`` and
    ``n``, and no rows where the place is not there yet. ``restart`` stops the counterpart and
    starts it again; ``refused`` is a batch with the positions of the rows that can never be
    written; ``unreachable`` makes a sink whose counterpart is not there.
    """
    case = SinkCase(make, read, restart, refused, unreachable)
    for behaviour in SINK_BEHAVIOURS:
        await run(behaviour, case)


async def shows_rows_once_flushed(case: SinkCase, place: str) -> None:
    """After a flush another program sees the rows, and still does after the close."""
    sink = case.make(place)
    await sink.open(context(place))
    await sink.write(batch([1, 2, 3]))
    await sink.flush(Token(STORE, 1))
    await case.expect(place, batch([1, 2, 3]))
    await sink.write(batch([]))
    await sink.write(batch([4, 5], first=3))
    await sink.flush(Token(STORE, 2))
    await sink.close()
    await case.expect(place, batch([1, 2, 3, 4, 5]))


async def loses_nothing_unflushed(case: SinkCase, place: str) -> None:
    """Without a flush nothing is promised: what is written again is there once."""
    sink = case.make(place)
    await sink.open(context(place))
    await sink.write(batch([1, 2]))
    if sink.delivery == "transactional":
        await case.expect(place)
    await sink.close()
    again = case.make(place)
    assert await again.open(context(place)) is None, "a token is there that was never flushed"
    await again.write(batch([1, 2]))
    await again.flush(Token(STORE, 1))
    await again.close()
    await case.expect(place, batch([1, 2]))


async def takes_a_batch_twice(case: SinkCase, place: str) -> None:
    """The same keyed batch again, in one flush and in a later one, changes nothing."""
    sink = case.make(place)
    await sink.open(context(place))
    for seq in (1, 2):
        await sink.write(batch([1, 2]))
        await sink.write(batch([1, 2]))
        await sink.flush(Token(STORE, seq))
    await sink.close()
    await case.expect(place, batch([1, 2]))


async def keeps_the_last_of_a_key(case: SinkCase, place: str) -> None:
    """Of rows with one key the last counts, in one batch, one flush, or later."""
    sink = case.make(place)
    if sink.delivery == "at_least_once":
        return
    await sink.open(context(place))
    await sink.write(batch([1, 2, 3]))
    await sink.write(batch([7, 8, 9]).with_columns(device=["d0", "d1", "d0"]))
    await sink.flush(Token(STORE, 1))
    await sink.close()
    await case.expect(place, batch([9, 8, 3]))


async def appends_without_keys(case: SinkCase, place: str) -> None:
    """Rows without keys are all kept by a transactional sink, however alike they are."""
    sink = case.make(place)
    if sink.delivery != "transactional":
        return
    await sink.open(context(place))
    await sink.write(batch([1, 1], keyed=False))
    await sink.write(batch([1, 1], keyed=False))
    await sink.flush(Token(STORE, 1))
    await sink.close()
    await case.expect(place, batch([1, 1]), batch([1, 1]))


async def takes_new_columns(case: SinkCase, place: str) -> None:
    """A column that appears later, or is gone again, stops nothing."""
    sink = case.make(place)
    await sink.open(context(place))
    await sink.write(batch([1]))
    await sink.write(batch([2], first=1).with_columns(**{"wind.speed": np.array([3.5])}))
    await sink.write(batch([3], first=2).select(["device", "window_start", "n"]))
    await sink.flush(Token(STORE, 1))
    await sink.close()
    await case.expect(place, batch([1, 2, 3]))


async def keeps_the_token(case: SinkCase, place: str) -> None:
    """A transactional sink gives back the last token it committed, to its own id only."""
    sink = case.make(place)
    if sink.delivery != "transactional":
        return
    assert await sink.open(context(place)) is None, "a token is there before the first flush"
    for seq in (1, 2):
        await sink.write(batch([seq], first=seq))
        await sink.flush(Token(STORE, seq))
    await sink.write(batch([3], first=3))
    await sink.close()
    other = case.make(place)
    assert await other.open(context(f"{place}.other")) is None, "the token of another step"
    await other.close()
    again = case.make(place)
    token = await again.open(context(place))
    await again.close()
    assert token == Token(STORE, 2), f"the last token committed was seq 2, open gave {token}"
    await case.expect(place, batch([1, 2], first=1))


async def keeps_an_older_worker_out(case: SinkCase, place: str) -> None:
    """Of two workers only the one that opened last may write, whatever the other wakes up with."""
    older, newer = case.make(place), case.make(place)
    if not older.fences:
        return
    await older.open(context(place, epoch=5))
    await older.write(batch([1]))
    await older.flush(Token(STORE, 1, 5))
    token = await newer.open(context(place, epoch=6))
    assert token == (Token(STORE, 1, 5) if older.delivery == "transactional" else None)
    fenced = await raised(_write(older, batch([9], first=8), Token(STORE, 2, 5)), Fenced)
    assert fenced is not None, "an older worker wrote after a newer one had opened"
    assert speaks(fenced), f"{str(fenced)!r} does not say what happened"
    await older.close()
    assert await raised(older.open(context(place, epoch=5)), Fenced), "it may open again"
    await older.close()
    await newer.write(batch([2], first=1))
    await newer.flush(Token(STORE, 2, 6))
    await newer.close()
    await case.expect(place, batch([1, 2]))
    last = case.make(place)
    token = await last.open(context(place, epoch=6))
    assert token is None or token == Token(STORE, 2, 6), f"seq 2 was committed, open gave {token}"
    await last.close()


async def comes_back_after_a_restart(case: SinkCase, place: str) -> None:
    """A lost connection is `Disconnected`; after close and open nothing is lost or doubled."""
    if case.restart is None:
        return
    sink = case.make(place)
    await sink.open(context(place))
    await sink.write(batch([1]))
    await sink.flush(Token(STORE, 1))
    await sink.write(batch([2], first=1))
    await given(case.restart())
    lost = await raised(_write(sink, batch([3], first=2), Token(STORE, 2)), Disconnected)
    assert lost is None or speaks(lost), f"{str(lost)!r} does not say what happened"
    assert lost or sink.delivery != "transactional", "rows of a broken transaction were promised"
    await sink.close()
    token = await sink.open(context(place))
    if sink.delivery == "transactional":
        assert token == Token(STORE, 1), f"seq 1 was committed, open gave {token}"
    await sink.write(batch([2, 3], first=1))
    await sink.flush(Token(STORE, 2))
    await sink.close()
    await case.expect(place, batch([1, 2, 3]))


async def rejects_only_bad_rows(case: SinkCase, place: str) -> None:
    """Rows that can never be written are named with a reason; their neighbours are written."""
    if case.refused is None:
        return
    rows, bad = case.refused
    sink = case.make(place)
    await sink.open(context(place))
    error = await raised(sink.write(rows), Rejected)
    assert error is not None, f"rows {set(bad)} were not rejected"
    assert set(error.reasons) == bad, f"rejected {set(error.reasons)}, should be {set(bad)}"
    assert all(error.reasons.values()), "a row was rejected without a reason"
    await sink.write(batch([5], first=100))
    await sink.flush(Token(STORE, 1))
    await sink.close()
    good = np.array([i not in bad for i in range(len(rows))])
    await case.expect(place, rows.take(good), batch([5], first=100))


async def closes_at_any_time(case: SinkCase, place: str) -> None:
    """Closing is safe before the open and twice, and the same object opens again."""
    sink = case.make(place)
    await sink.close()
    await sink.open(context(place))
    await sink.close()
    await sink.close()
    await sink.open(context(place))
    await sink.write(batch([1]))
    await sink.flush(None)
    await sink.close()
    await case.expect(place, batch([1]))


async def says_what_is_missing(case: SinkCase, place: str) -> None:
    """Without its counterpart the open raises `Disconnected` and says what to look at."""
    if case.unreachable is not None:
        sink = case.unreachable()
        await refuses_to_open(sink, sink.open(context(place)))


SINK_BEHAVIOURS: tuple[Callable[[SinkCase, str], Awaitable[None]], ...] = (
    shows_rows_once_flushed,
    loses_nothing_unflushed,
    takes_a_batch_twice,
    keeps_the_last_of_a_key,
    appends_without_keys,
    takes_new_columns,
    keeps_the_token,
    keeps_an_older_worker_out,
    comes_back_after_a_restart,
    rejects_only_bad_rows,
    closes_at_any_time,
    says_what_is_missing,
)


async def _write(sink: Sink, rows: Batch, token: Token) -> None:
    await sink.write(rows)
    await sink.flush(token)


def pairs(rows: Batch) -> list[tuple[str, int]]:
    """(device, n) of each row."""
    return [(str(row["device"]), int(row["n"])) for row in rows.rows()]
