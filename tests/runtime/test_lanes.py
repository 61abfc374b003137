"""Which rows go to a sink at once, and which wait on disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings
from edgestream.runtime.lanes import Lanes, live_bytes, packed, together, unpacked
from edgestream.store.spool import Waiting


def windows(*starts: int, keys: tuple[str, ...] = ("device", "window_start")) -> Batch:
    return Batch(
        {
            "device": Strings.of(["a"] * len(starts)),
            "window_start": np.array(starts, "datetime64[us]"),
        },
        np.zeros(len(starts), np.int64),
        keys,
    )


def starts(batch: Batch | None) -> list[int]:
    return [] if batch is None else batch["window_start"].astype(int).tolist()


def late(lanes: Lanes, *given: int) -> None:
    _, waits = lanes.split(windows(*given), down=True, head=lanes.live.head)
    assert starts(waits) == list(given)
    lanes.late_head += 1


def test_rows_are_live_until_the_sink_is_down() -> None:
    lanes = Lanes("live_first")
    live, waits = lanes.split(windows(1), down=False, head=0)
    assert (starts(live), waits) == ([1], None)
    live, waits = lanes.split(windows(2), down=True, head=1)
    assert (live, starts(waits)) == (None, [2])


def test_rows_are_late_when_memory_is_full() -> None:
    lanes = Lanes("live_first", limit=100)
    lanes.live.add(1, windows(*range(20)))
    assert lanes.split(windows(50), down=False, head=1)[0] is None


def test_memory_holds_less_beside_the_state_file_than_alone() -> None:
    assert live_bytes(1 << 30, spooled=True) == 1 << 20
    assert live_bytes(1 << 30, spooled=False) == 8 << 20
    assert live_bytes(1000, spooled=True) == live_bytes(1000, spooled=False) == 1000


def test_new_windows_go_before_late_ones_and_corrections_behind() -> None:
    lanes = Lanes("live_first")
    late(lanes, 10, 20)
    live, waits = lanes.split(windows(30, 20, 40, 5), down=False, head=0)
    assert (starts(live), starts(waits)) == ([30, 40], [20, 5])
    lanes.late_head += 1
    lanes.delivered_late(lanes.late_head)
    live, waits = lanes.split(windows(20), down=False, head=0)
    assert (starts(live), waits) == ([20], None)


def test_a_missing_window_start_waits() -> None:
    lanes = Lanes("live_first")
    late(lanes, 10)
    batch = windows(30, 30).with_columns(
        window_start=np.array(["NaT", "2026-01-01"], "datetime64[us]")
    )
    live, waits = lanes.split(batch, down=False, head=0)
    assert live is not None
    assert waits is not None
    assert (len(live), len(waits)) == (1, 1)


@pytest.mark.parametrize(("keys", "ahead"), [((), 1), (("device",), 0)])
def test_without_keys_rows_go_ahead_and_with_keys_but_no_time_they_wait(
    keys: tuple[str, ...], ahead: int
) -> None:
    lanes = Lanes("live_first")
    lanes.split(windows(1, keys=keys), down=True, head=0)
    lanes.late_head = 1
    live, _ = lanes.split(windows(2, keys=keys), down=False, head=0)
    assert len(starts(live)) == ahead


def test_oldest_first_lets_nothing_go_ahead() -> None:
    lanes = Lanes("oldest_first")
    late(lanes, 10)
    assert lanes.split(windows(99), down=False, head=0)[0] is None
    lanes.delivered_late(1)
    assert lanes.split(windows(99), down=False, head=0)[1] is None


def test_late_rows_wait_for_what_was_live_before_them() -> None:
    lanes = Lanes("live_first")
    lanes.live.add(1, windows(1))
    late(lanes, 2)
    lanes.live.add(2, windows(3))
    assert not lanes.late_may_go
    lanes.live.delivered(1)
    assert lanes.late_may_go


def test_an_earlier_run_left_rows_in_both_lanes() -> None:
    lanes = Lanes("live_first")
    lanes.resume(7, 100, 3, Waiting(50, head=5, top=20))
    assert (lanes.late_head, lanes.live.on_disk, lanes.live.size) == (5, True, 100)
    assert not lanes.late_may_go
    live, waits = lanes.split(windows(20, 21), down=False, head=7)
    assert (starts(live), starts(waits)) == ([21], [20])
    lanes.live.add(8, windows(21))
    lanes.live.delivered(7)
    assert (lanes.live.on_disk, lanes.late_may_go) == (False, True)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**35 - 1), st.integers(0, 2**28 - 1)), min_size=2, max_size=2
    )
)
def test_a_token_holds_both_cursors_and_never_falls(pairs: list[tuple[int, int]]) -> None:
    (live, old), (more_live, more_old) = pairs
    assert unpacked(packed(live, old)) == (live, old)
    assert packed(live, old) < 2**63
    if more_live >= live and more_old >= old:
        assert packed(more_live, more_old) >= packed(live, old)


def test_batches_of_one_shape_go_together_in_their_order() -> None:
    other = windows(5).with_columns(x=[1.0])
    batches = [windows(1), windows(2, 3), other, windows(4), windows(6, keys=())]
    got = together([*enumerate(batches, 7)])
    assert [starts(joined.batch) for joined in got] == [[1, 2, 3], [5], [4], [6]]
    assert [got[0].place(row) for row in range(3)] == [(7, 0), (8, 0), (8, 1)]
    assert got[2].place(0) == (10, 0)
