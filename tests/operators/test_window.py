"""The operator ``window``: rows and watermarks in, windows and late rows out."""

from datetime import UTC, datetime

import numpy as np
import pytest

from edgestream.aggregate import count, last, mean, stddev
from edgestream.batch import Batch, Dictionary, Strings, empty, from_rows
from edgestream.component import State
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.window import Window
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, read_state, write_state
from edgestream.window import running

SECOND = 1_000_000_000
ENDED = 2**63 - 1
DAY = 86_400
N = {"n": "count()"}


@pytest.fixture(autouse=True, params=[1, 4096], ids=["at once", "together"])
def together(request, monkeypatch):
    """How many rows are taken together: rows may be placed or still wait when others come."""
    monkeypatch.setattr(running, "_ENOUGH", request.param)


def batch(*rows):
    """(seconds, key, value) rows; shorter ones lack the rest."""
    names = ("key", "x")
    made = [dict(zip(names, row[1:], strict=False)) for row in rows]
    return from_rows(made, [round(row[0] * SECOND) for row in rows])


def events(*given):
    """Lists of rows are batches, numbers are watermarks in seconds."""
    return [batch(*one) if isinstance(one, list) else round(one * SECOND) for one in given]


def seconds(moment):
    return moment.timestamp()


def left(window, *given):
    """[(start, key, n or the aggregates)] of the main output, having passed the whole kit."""
    found = check_operator(window, [*events(*given), ENDED])
    rows = []
    for row in found.get("", []):
        values = [
            row[name] for name in row if name not in ("key", "window_start", "window_end", "@time")
        ]
        rows.append((seconds(row["window_start"]), row.get("key"), *values))
    return rows


def late(window, *given):
    found = check_operator(window, events(*given))
    return [(row["@time"] / SECOND, row["key"]) for row in found.get("late", [])]


def tumbling(**more):
    return Window(**{"tumbling": "10s", "by": "key", "aggregate": N, **more})


def test_rows_go_into_the_window_they_lie_in():
    assert left(tumbling(), [(0, "a"), (9.999999, "a"), (10, "a"), (3, "b")]) == [
        (0, "a", 2),
        (0, "b", 1),
        (10, "a", 1),
    ]


def test_columns_of_what_leaves():
    window = tumbling(aggregate={"n": count(), "avg": mean("x")})
    window.process(batch((12, "a", 1.0), (13, "a", 2.0)))
    ((port, out),) = window.advance(20 * SECOND)
    assert port == ""
    assert out.rows() == [
        {
            "key": "a",
            "window_start": datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC),
            "window_end": datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC),
            "n": 2,
            "avg": 1.5,
        }
    ]
    assert out.keys == ("key", "window_start")
    assert out.times.tolist() == [20 * SECOND - 1]
    assert out["window_start"].dtype == "datetime64[us]"
    assert out["n"].dtype == np.int64


def test_a_window_leaves_when_the_watermark_has_reached_its_end_and_only_once():
    window = tumbling()
    window.process(batch((1, "a"), (11, "a")))
    assert window.advance(10 * SECOND - 1) == ()
    assert len(window.advance(10 * SECOND)) == 1
    assert window.advance(10 * SECOND) == ()
    assert window.advance(5 * SECOND) == ()
    assert len(window.advance(20 * SECOND)) == 1
    assert window.advance(ENDED) == ()


def test_a_watermark_never_goes_back():
    window = tumbling()
    window.advance(100 * SECOND)
    window.advance(50 * SECOND)
    ((port, out),) = window.process(batch((60, "a")))
    assert (port, len(out)) == ("late", 1)


def test_before_1970_windows_lie_on_the_same_grid():
    given = [(-1, "a"), (-10, "a"), (-10.000001, "a"), (0, "a")]
    assert left(tumbling(), given) == [(-20, "a", 1), (-10, "a", 2), (0, "a", 1)]


def test_windows_leave_by_start_and_first_seen_key():
    given = [(15, "b"), (5, "a"), (16, "c"), (6, "b"), (17, "a")]
    assert left(tumbling(), given) == [
        (0, "b", 1),
        (0, "a", 1),
        (10, "b", 1),
        (10, "a", 1),
        (10, "c", 1),
    ]


def test_without_keys_there_is_one_group():
    window = Window(tumbling="10s", aggregate=N)
    assert left(window, [(1, "a"), (2, "b")]) == [(0, None, 2)]
    assert window.keys(("anything",)) == ("window_start",)


def test_rows_without_a_key_are_a_group_of_their_own():
    assert left(tumbling(), [(1, None), (2, "a"), (3, None)]) == [(0, None, 2), (0, "a", 1)]


def test_a_key_column_that_is_not_there_is_missing():
    window = Window(tumbling="10s", by=["key", "site"], aggregate=N)
    assert left(window, [(1, "a"), (2, "a"), (3, "b")]) == [(0, "a", None, 2), (0, "b", None, 1)]


def test_a_row_a_year_ahead_costs_one_window():
    window = tumbling(late="5m")
    window.process(batch(*[(k / 100, f"k{k}") for k in range(1000)]))
    window.advance(0)
    before = window.state_bytes()
    window.process(batch((365 * DAY, "k1"), (400 * DAY, "k2"), (90 * 365 * DAY, "k3")))
    window.snapshot()
    assert window.state_bytes() < before + 10_000
    rows = [row for _, out in window.advance(ENDED) for row in out.rows()]
    assert len(rows) == 1003


def test_time_that_leaps_costs_nothing():
    window = Window(hopping="1m", every="1s", by="key", aggregate=N)
    window.process(batch((0, "a")))
    outs = window.advance(100 * 365 * DAY * SECOND)
    assert sum(len(out) for _, out in outs) == 60
    assert window.advance(ENDED) == ()


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"hopping": "10s", "every": "5s"}, [5, 10]),
        ({"hopping": "10s", "every": "10s"}, [10]),
        ({"hopping": "10s", "every": "4s"}, [4, 8, 12]),
        ({"hopping": "10s", "every": "3s"}, [3, 6, 9, 12]),
        ({"hopping": "7s", "every": "7s"}, [7]),
    ],
)
def test_a_row_lies_in_every_hopping_window_over_it(fields, starts):
    window = Window(**fields, by="key", aggregate=N)
    assert left(window, [(12, "a")]) == [(start, "a", 1) for start in starts]


def test_hopping_windows_add_up_their_panes():
    aggregate = {"n": "count()", "sum": "sum(x)", "first": "first(x)", "sd": "stddev(x)"}
    window = Window(hopping="20s", every="10s", by="key", aggregate=aggregate)
    given = [(5, "a", 1.0), (15, "a", 2.0), (17, "a", 6.0), (25, "b", 4.0)]
    rows = left(window, given)
    assert [row[:5] for row in rows] == [
        (-10, "a", 1, 1.0, 1.0),
        (0, "a", 3, 9.0, 1.0),
        (10, "a", 2, 8.0, 2.0),
        (10, "b", 1, 4.0, 4.0),
        (20, "b", 1, 4.0, 4.0),
    ]
    assert [row[5] for row in rows] == pytest.approx([None, 7**0.5, 8**0.5, None, None])


def test_a_row_still_counts_for_the_hopping_windows_that_are_open():
    window = Window(hopping="10s", every="5s", by="key", aggregate=N)
    given = ([(7, "a")], 12, [(8, "a"), (4.9, "a")], 30)
    assert left(window, *given) == [(0, "a", 1), (5, "a", 2)]
    assert late(window, *given) == [(4.9, "a")]


def test_late_rows_leave_as_they_came():
    window = tumbling(late="5s")
    window.advance(24 * SECOND)
    given = from_rows(
        [{"key": "a", "x": 1.0, "other": "z"}, {"key": "b", "x": 2.0, "other": None}],
        [9 * SECOND, 11 * SECOND],
    )
    ((port, out),) = window.process(given)
    assert port == "late"
    assert out.rows() == [{"key": "a", "x": 1.0, "other": "z"}]
    assert out.times.tolist() == [9 * SECOND]


def test_the_border_of_late_is_exact():
    for watermark, taken in [(15 * SECOND - 1, True), (15 * SECOND, False)]:
        window = tumbling(late="5s")
        window.advance(watermark)
        assert (window.process(batch((9, "a"))) == ()) is taken


@pytest.mark.parametrize("fields", [{"tumbling": "10s"}, {"hopping": "10s", "every": "5s"}])
def test_a_window_is_gone_between_two_closings(fields):
    window = Window(**fields, by="key", aggregate=N, late="7s")
    window.advance(10 * SECOND)
    window.advance(17 * SECOND)
    ((port, out),) = window.process(batch((4, "a")))
    assert (port, len(out)) == ("late", 1)


def test_the_border_of_late_is_exact_for_sessions():
    for watermark, taken in [(19 * SECOND - 1, True), (19 * SECOND, False)]:
        window = sessions(late="5s")
        window.advance(watermark)
        assert (window.process(batch((9, "a"))) == ()) is taken


def test_a_row_within_late_sends_its_window_again_as_a_whole():
    window = tumbling(late="1m", aggregate={"n": "count()", "sum": "sum(x)"})
    given = [(1, "a", 1.0), (2, "b", 5.0), (11, "a", 7.0)]
    correction = [(3, "a", 2.0), (4, "c", 9.0)]
    assert left(window, given, 20, correction, 20) == [
        (0, "a", 2 - 1, 1.0),
        (0, "b", 1, 5.0),
        (10, "a", 1, 7.0),
        (0, "a", 2, 3.0),
        (0, "c", 1, 9.0),
    ]


def test_a_correction_of_hopping_windows_is_of_those_that_left():
    window = Window(hopping="10s", every="5s", by="key", aggregate=N, late="6s")
    given = ([(7, "a"), (7, "b")], 15, [(8, "a")], 15)
    assert left(window, *given) == [
        (0, "a", 1),
        (0, "b", 1),
        (5, "a", 1),
        (5, "b", 1),
        (0, "a", 2),
        (5, "a", 2),
    ]


def test_state_is_freed_once_a_window_is_gone():
    window = tumbling(late="30s")
    for k in range(50):
        window.process(batch(*[(k * 10 + 1, f"k{j}") for j in range(10)]))
        window.advance((k + 1) * 10 * SECOND)
        if k == 10:
            before = window.state_bytes()
    saved = window.snapshot()
    assert len(saved.arrays["cell.rows"]) == 30
    assert window.state_bytes() == before


@pytest.mark.parametrize("fields", [{"tumbling": "10s"}, {"session": "5s"}])
def test_keys_that_never_come_again_are_forgotten(fields):
    window = Window(**fields, by="key", aggregate=N)
    sizes, rows = [], 0
    for k in range(40):
        window.process(batch(*[(k * 10 + 1, f"{k}-{j}") for j in range(500)]))
        rows += sum(len(out) for _, out in window.advance((k * 10 + 8) * SECOND))
        sizes.append(window.state_bytes())
    rows += sum(len(out) for _, out in window.advance(ENDED))
    assert rows == 20_000
    assert max(sizes[20:]) <= max(sizes[:20])


def test_room_for_a_crowd_is_given_back():
    window = tumbling()
    for k in range(10):
        window.process(batch(*[(k / 10, f"k{k}-{j}") for j in range(4000)]))
    window.advance(1)
    crowded = window.state_bytes()
    assert sum(len(out) for _, out in window.advance(10 * SECOND)) == 40_000
    for k in range(10, 2000, 10):
        window.process(batch((k, "a"), (k + 1, "b")))
        assert sum(len(out) for _, out in window.advance((k + 10) * SECOND)) == 2
    assert window.state_bytes() < crowded / 50


def sessions(**more):
    return Window(**{"session": "5s", "by": "key", "aggregate": N, **more})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([(0, "a"), (4.999999, "a")], [(0, "a", 2)]),
        ([(0, "a"), (5, "a")], [(0, "a", 1), (5, "a", 1)]),
        ([(10, "a"), (0, "a"), (5.5, "a")], [(0, "a", 1), (5.5, "a", 2)]),
        ([(0, "a"), (3, "b"), (4, "a"), (8, "a")], [(0, "a", 3), (3, "b", 1)]),
        ([(0, "a"), (8, "a"), (4, "a")], [(0, "a", 3)]),
        ([(-3, "a"), (1, "a")], [(-3, "a", 2)]),
        ([(2, None), (3, None)], [(2, None, 2)]),
        ([(1, "a"), (1, "a"), (1, "a")], [(1, "a", 3)]),
    ],
)
def test_a_session_breaks_at_a_gap(given, wanted):
    assert left(sessions(), given) == wanted


def test_a_session_ends_a_gap_after_its_last_row():
    window = sessions()
    window.process(batch((1, "a"), (3, "a")))
    assert window.advance(8 * SECOND - 1) == ()
    ((_, out),) = window.advance(8 * SECOND)
    (row,) = out.rows()
    assert (seconds(row["window_start"]), seconds(row["window_end"])) == (1, 8)
    assert out.times.tolist() == [8 * SECOND - 1]


def test_a_row_between_two_sessions_makes_them_one():
    window = sessions(aggregate={"n": "count()", "sum": "sum(x)", "first": "first(x)"})
    assert left(window, [(0, "a", 1.0)], 2, [(8, "a", 2.0)], 3, [(4, "a", 4.0)], 4) == [
        (0, "a", 3, 7.0, 1.0)
    ]


def test_a_row_joins_a_session_that_is_open_however_old_it_is():
    window = sessions()
    window.process(batch(*[(k * 4, "a") for k in range(50)]))
    window.advance(196 * SECOND)
    assert window.process(batch((10, "a"))) == ()
    ((port, out),) = window.process(batch((10, "b"), (-5, "a")))
    assert (port, len(out)) == ("late", 2)
    ((_, out),) = window.advance(ENDED)
    assert [row["n"] for row in out.rows()] == [51]


def test_a_late_row_extends_a_session_that_left():
    window = sessions(late="1m")
    assert left(window, [(0, "a")], 20, [(4, "a")], 20) == [(0, "a", 1), (0, "a", 2)]
    assert left(window, [(10, "a")], 20, [(6, "a"), (14, "a")], 21) == [(10, "a", 1), (6, "a", 3)]


@pytest.mark.parametrize("joined", [True, False])
def test_an_old_row_may_join_one_that_came_just_before_it(joined):
    window = sessions()
    window.advance(20 * SECOND)
    rows = [(16, "a"), (13, "a"), (9, "a"), (3, "a"), (13, "b")]
    given = [batch(*rows)] if joined else [batch(row) for row in rows]
    outs = [row for one in given for _, out in window.process(one) for row in out.rows()]
    assert [row["key"] for row in outs] == ["a", "b"]
    ((_, out),) = window.advance(ENDED)
    assert [(seconds(row["window_start"]), row["n"]) for row in out.rows()] == [(9, 3)]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([(k, "a") for k in range(3, 30)], [(3, "a", 10), (13, "a", 10), (23, "a", 7)]),
        ([(k, "a") for k in range(29, 2, -1)], [(3, "a", 10), (13, "a", 10), (23, "a", 7)]),
        ([(0, "a"), (4, "a"), (8, "a"), (12, "a")], [(0, "a", 3), (12, "a", 1)]),
        ([(0, "a"), (4, "a"), (9.999999, "a"), (10, "a")], [(0, "a", 2), (9.999999, "a", 2)]),
    ],
)
def test_a_session_is_cut_at_its_longest(given, wanted):
    assert left(sessions(max="10s"), given) == wanted


def test_a_cut_session_ends_at_its_longest():
    window = sessions(max="10s")
    window.process(batch(*[(k, "a") for k in range(12)]))
    outs = window.advance(10 * SECOND + 1)
    ((_, out),) = outs
    (row,) = out.rows()
    assert (seconds(row["window_end"]), row["n"]) == (10, 10)


def test_late_rows_of_sessions_with_a_longest():
    window = sessions(max="10s", late="1m")
    given = ([(k, "a") for k in range(0, 14, 2)], 30, [(3, "a"), (-3, "a"), (14, "a")], 31)
    rows = left(window, *given)
    assert rows[:2] == [(0, "a", 5), (10, "a", 2)]
    assert sum(row[2] for row in rows[2:]) >= 3


def test_many_sessions_of_one_key_stay_while_they_may_be_corrected():
    window = sessions(late="1h")
    window.process(batch(*[(k * 10, "a") for k in range(100)]))
    assert sum(len(out) for _, out in window.advance(1100 * SECOND)) == 100
    assert window.process(batch((501, "a"), (12, "a"))) == ()
    ((_, out),) = window.advance(1100 * SECOND)
    assert [(seconds(row["window_start"]), row["n"]) for row in out.rows()] == [(10, 2), (500, 2)]


def test_one_row_may_join_many_sessions_batch_after_batch():
    window = sessions()
    for k in range(0, 40, 8):
        window.process(batch((k, "a"), (k, "b")))
        window.snapshot()
        window.advance(0)
    window.process(batch(*[(k + 4, "a") for k in range(0, 32, 8)]))
    rows = [row for _, out in window.advance(ENDED) for row in out.rows()]
    assert [(row["key"], row["n"]) for row in rows if row["key"] == "a"] == [("a", 9)]
    assert len(rows) == 6


def test_times_without_room_for_a_window_are_late():
    window = tumbling()
    rows = from_rows([{"key": "a"}] * 4, [-(2**63), 5, 2**63 - 1, -(2**62) * 2 + 1])
    ((port, out),) = window.process(rows)
    assert port == "late"
    assert out.times.tolist() == [-(2**63), 2**63 - 1, -(2**62) * 2 + 1]
    assert sum(len(out) for _, out in window.advance(ENDED)) == 1


def test_empty_batches_bring_nothing():
    window = tumbling()
    assert window.process(Batch({}, np.zeros(0, np.int64))) == ()
    assert window.process(empty(batch((1, "a")))) == ()
    assert window.advance(ENDED) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"tumbling": "10s"},
        {"tumbling": "10s", "late": "20s"},
        {"hopping": "10s", "every": "4s", "late": "5s"},
        {"session": "5s", "late": "20s"},
        {"session": "5s", "max": "10s"},
    ],
)
def test_the_kit_holds_for_every_kind(fields):
    aggregate = {
        "n": "count()",
        "avg": "mean(x)",
        "sd": "stddev(x)",
        "top": "max(x + 1)",
        "last": "last(key)",
    }
    rng = np.random.default_rng(7)
    given = []
    for k in range(6):
        at = k * 4 + rng.integers(-3, 4, 6)
        keys = rng.choice(["a", "b", None], 6)
        given.append(
            [(t, key, x) for t, key, x in zip(at, keys, rng.normal(1e6, 1, 6), strict=True)]
        )
        given.append(k * 4 - 3)
    for by in ([], ["key"], ["key", "x"]):
        assert left(Window(**fields, by=by, aggregate=aggregate), *given)


def test_a_snapshot_does_not_depend_on_the_codes_of_a_dictionary():
    one = tumbling()
    dictionary = Dictionary(["unused", "b", "a"])
    texts = Strings(dictionary.encode(["a", "b"]), dictionary)
    one.process(Batch({"key": texts}, np.array([1, 2]) * SECOND))
    other = tumbling()
    other.restore(read_state(write_state(one.snapshot())))
    other.process(batch((3, "b"), (4, "c")))
    rows = [(row["key"], row["n"]) for _, out in other.advance(ENDED) for row in out.rows()]
    assert rows == [("a", 1), ("b", 2), ("c", 1)]


def test_a_snapshot_of_nothing_restores_to_nothing():
    window = tumbling()
    window.restore(read_state(write_state(tumbling().snapshot())))
    assert window.advance(ENDED) == ()


def test_the_watermark_is_part_of_the_snapshot():
    one, other = tumbling(), tumbling()
    one.advance(50 * SECOND)
    other.restore(one.snapshot())
    ((port, _),) = other.process(batch((9, "a")))
    assert port == "late"


def test_names_of_results_and_how_long_is_late_may_change_between_snapshots():
    one = tumbling(aggregate={"n": "count()", "avg": "mean(x)"})
    one.process(batch((1, "a", 4.0)))
    other = tumbling(aggregate={"average": "mean(x)", "rows": "count()"}, late="1m")
    other.restore(one.snapshot())
    ((_, out),) = other.advance(ENDED)
    assert (out["average"].tolist(), out["rows"].tolist()) == ([4.0], [1])


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"tumbling": "20s"}, "tumbling"),
        ({"by": ["key", "x"]}, "by"),
        ({"aggregate": {"n": "count()", "avg": "mean(x)"}}, "aggregate"),
        ({"tumbling": None, "session": "5s"}, "tumbling"),
    ],
)
def test_a_snapshot_of_other_windows_is_refused(change, path):
    saved = tumbling().snapshot()
    with pytest.raises(ConfigError) as caught:
        tumbling(**change).restore(saved)
    assert caught.value.problems[0].path == (path,)
    assert "the saved state is of" in str(caught.value)


def test_a_snapshot_of_another_version_is_refused():
    saved = tumbling().snapshot()
    with pytest.raises(ConfigError, match="unknown version 99"):
        tumbling().restore(State(99, saved.meta, saved.arrays))


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({}, (), "which windows"),
        ({"tumbling": "1s", "session": "1s"}, ("session",), "beside tumbling"),
        ({"hopping": "1m"}, ("hopping",), "need every"),
        ({"hopping": "1m", "every": "2m"}, ("every",), "longer than"),
        ({"tumbling": "1m", "every": "2s"}, ("every",), "belongs to hopping"),
        ({"tumbling": "1m", "max": "2m"}, ("max",), "belongs to session"),
        ({"session": "1m", "max": "2s"}, ("max",), "shorter than the gap"),
        ({"tumbling": "0s"}, ("tumbling",), "whole microseconds"),
        ({"tumbling": "1500ns"}, ("tumbling",), "whole microseconds"),
        ({"tumbling": "4000d"}, ("tumbling",), "at most"),
        ({"tumbling": "1s", "aggregate": {}}, ("aggregate",), "no aggregate"),
        ({"tumbling": "1s", "aggregate": {"key": "count()"}}, ("aggregate", "key"), "key column"),
        (
            {"tumbling": "1s", "aggregate": {"window_end": "count()"}},
            ("aggregate", "window_end"),
            "column of every window",
        ),
        ({"tumbling": "1s", "by": ["key", "window_start"]}, ("by", 1), "column of every window"),
        ({"tumbling": "1s", "by": ["key", "key"]}, ("by", 1), "twice"),
        ({"tumbling": "1s", "aggregate": {"n": "maen(x)"}}, ("aggregate", "n"), "no aggregate"),
        ({"tumbling": "1s", "aggregate": {"n": "mean(x +)"}}, ("aggregate", "n"), ""),
        ({"tumbling": "ten"}, ("tumbling",), "duration"),
        ({"tumbling": "1s", "agregate": N}, ("agregate",), "unknown field"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(fields, path, message):
    with pytest.raises(ConfigError) as caught:
        build(Window, {"by": ["key"], "aggregate": N, **fields})
    assert path in [problem.path for problem in caught.value.problems]
    assert message in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        Window(tumbling="1s", max="1s", by="n", aggregate={"n": "count()"})
    assert len(caught.value.problems) == 2


def test_schema_of_what_leaves():
    schema = Schema.of_kinds({"key": "string", "x": "int", "s": "string"})
    window = tumbling(aggregate={"n": count(), "avg": mean("x"), "was": last("s")})
    assert dict(window.infer(schema).fields) == {
        "key": "string",
        "window_start": "time",
        "window_end": "time",
        "n": "int",
        "avg": "float",
        "was": "string",
    }
    assert window.infer(schema).open is False
    assert window.port_schema("late", schema) == schema
    assert window.keys(()) == ("key", "window_start")
    assert window.passes(None) == frozenset()


def test_unknown_columns_are_named_with_their_place():
    window = Window(tumbling="1s", by="kee", aggregate={"avg": "mean(xx)", "sd": stddev("s")})
    with pytest.raises(ConfigError) as caught:
        window.infer(Schema.of_kinds({"key": "string", "x": "int", "s": "string"}))
    assert [problem.path for problem in caught.value.problems] == [
        ("by",),
        ("aggregate", "avg"),
        ("aggregate", "sd"),
    ]


def test_columns_it_needs():
    window = tumbling(aggregate={"n": count("x"), "avg": mean("x"), "top": "max(y)"})
    assert window.uses() == {"key": "any", "x": "float", "y": "any"}


def test_yaml_and_python_make_the_same():
    written = {"tumbling": "10s", "by": "key", "aggregate": {"avg": "mean(x)"}, "late": "1m"}
    made = Window(tumbling="10s", by=["key"], aggregate={"avg": mean("x")}, late="60s")
    assert build(Window, written) == made
