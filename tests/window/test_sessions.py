"""Sessions: which rows are sorted, and that sorting all of them gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgestream.batch import Batch
from edgestream.operators.window import Window
from edgestream.window import running, sessions
from edgestream.window.sessions import Sessions

SECOND = 1_000_000_000
BOUNDS: list[dict[str, str]] = [{}, {"late": "9s"}, {"max": "12s"}, {"max": "12s", "late": "9s"}]
ENDED = 2**63 - 1
AGGREGATES = {"n": "count()", "sum": "sum(x)", "first": "first(x)", "last": "last(x)"}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_ENOUGH", 1)


def batch(times: Any, keys: Any, values: Any = 0.0) -> Batch:
    times = np.asarray(times, np.int64)
    columns = {"key": np.asarray(keys), "x": np.zeros(len(times)) + values}
    return Batch(columns, times)


def run(more: dict[str, str]) -> list[Any]:
    """What leaves of a stream with rows up to eight seconds back, and what comes too late."""
    window = Window(session="5s", by="key", aggregate=AGGREGATES, **more)
    rng = np.random.default_rng(5)
    found: list[Any] = []
    for step in range(300):
        size = int(rng.integers(1, 30))
        moments = step * SECOND + rng.integers(-8, 3, size) * SECOND
        given = batch(moments, rng.integers(0, 12, size), rng.integers(0, 9, size))
        kept = rng.random(size) < 0.3
        found += rows(window.process(given.take(kept)) if kept.any() else ())
        found.append(step)
        found += rows(window.advance((step - 5) * SECOND))
    return found + rows(window.advance(ENDED))


def rows(outputs: Any) -> list[Any]:
    return [row for _, out in outputs for row in out.rows()]


@pytest.mark.usefixtures("at_once")
def test_rows_that_go_on_with_the_session_of_their_key_are_not_sorted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sorted_: list[int] = []
    plain = sessions.parted

    def watched(owners: Any, *more: Any) -> Any:
        sorted_.append(len(owners))
        return plain(owners, *more)

    monkeypatch.setattr(sessions, "parted", watched)
    window = Window(session="5s", by="key", aggregate=AGGREGATES)
    rng = np.random.default_rng(1)
    for second in range(20):
        times = second * SECOND + rng.integers(0, 2 * SECOND, 200)
        window.process(batch(times, rng.integers(0, 20, 200)))
    assert sorted_ == []
    window.process(batch([40 * SECOND, 21 * SECOND], [3, 4]))
    assert sorted_ == [1]  # the row of key 3, which begins another session of it
    found = rows(window.advance(ENDED))
    assert len(found) == 21
    assert sum(row["n"] for row in found) == 20 * 200 + 2


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("more", BOUNDS)
def test_sorting_every_row_gives_the_same(more: dict[str, str], monkeypatch: Any) -> None:
    mine = run(more)
    monkeypatch.setattr(Sessions, "_outside", lambda _, cells, __: np.ones(len(cells), np.bool_))
    assert mine == run(more)
    assert len(mine) > 300 + 200


@pytest.mark.parametrize("more", BOUNDS)
def test_rows_that_change_nothing_that_closes_go_on_waiting(
    more: dict[str, str], monkeypatch: Any
) -> None:
    placed: list[int] = []
    plain = Sessions.place

    def watched(kind: Sessions, rows: Any) -> Any:
        placed.append(len(rows.slots))
        return plain(kind, rows)

    monkeypatch.setattr(Sessions, "place", watched)
    mine, few = run(more), len(placed)
    monkeypatch.setattr(Sessions, "asks", False)
    assert mine == run(more)
    assert few < (len(placed) - few) * 0.9


def test_a_row_that_waits_keeps_the_session_open_that_it_belongs_to() -> None:
    window = Window(session="5s", by="key", aggregate=AGGREGATES)
    window.process(batch([0], [1]))
    assert rows(window.advance(5 * SECOND - 1)) == []
    window.process(batch([6 * SECOND], [2]))
    window.process(batch([4 * SECOND, 9 * SECOND], [1, 1]))
    assert rows(window.advance(6 * SECOND)) == []
    window.process(batch([14 * SECOND - 1], [1]))
    assert [row["n"] for row in rows(window.advance(11 * SECOND))] == [2, 1]
    assert [row["n"] for row in rows(window.advance(ENDED))] == [2]


@pytest.mark.parametrize("more", BOUNDS)
def test_closing_goes_through_all_sessions_a_few_times_a_gap(
    more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_through: list[int] = []
    look_ahead = Sessions._look_ahead
    monkeypatch.setattr(
        Sessions, "_look_ahead", lambda self: gone_through.append(1) or look_ahead(self)
    )
    window = Window(session="5s", by="key", aggregate=AGGREGATES, **more)
    window.process(batch(np.zeros(2_000), np.arange(2_000)))
    out = 0
    for step in range(1_000):
        moment = step * SECOND // 100
        window.process(batch([moment], [step % 3]))
        out += len(rows(window.advance(moment)))
    assert out == 1_997
    assert 0 < len(gone_through) < 40
