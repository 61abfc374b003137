"""The kinds of window beside tumbling, hopping and sessions, early results and silent keys."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest

from edgestream.batch import Batch, from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.window import Window
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, read_state, write_state
from edgestream.window.calendar import Calendar, time_zone

SECOND = 1_000_000_000
ENDED = 2**63 - 1
N = {"n": "count()"}


def batch(*rows):
    """(seconds, key, x, s) rows; shorter ones lack the rest."""
    names = ("key", "x", "s")
    made = [dict(zip(names, row[1:], strict=False)) for row in rows]
    return from_rows(made, [round(row[0] * SECOND) for row in rows])


def events(*given):
    """Lists of rows are batches, numbers are watermarks in seconds."""
    return [batch(*one) if isinstance(one, list) else round(one * SECOND) for one in given]


def left(window, *given):
    """[(start, end, key, results …)] of the main output, having passed the whole kit."""
    found = check_operator(window, [*events(*given), ENDED])
    outs = []
    for row in found.get("", []):
        bounds = [row[name].timestamp() for name in ("window_start", "window_end")]
        rest = [row[name] for name in row if name not in ("window_start", "window_end", "@time")]
        outs.append((*bounds, *rest))
    return outs


def late(window, *given):
    found = check_operator(window, events(*given))
    return [(row["@time"] / SECOND, row["key"]) for row in found.get("late", [])]


def at(text):
    """Seconds of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def calendar(unit, zone=None, **more):
    return Window(calendar=unit, zone=zone, by="key", aggregate=N, **more)


@pytest.mark.parametrize(
    ("unit", "zone", "row", "start", "end"),
    [
        ("day", None, "2026-02-03T23:59:59", "2026-02-03", "2026-02-04"),
        ("day", "Europe/Madrid", "2026-02-03T22:59:59", "2026-02-02T23:00", "2026-02-03T23:00"),
        # The clocks go forward on 2026-03-29: 23 hours; and back on 2026-10-25: 25 hours.
        ("day", "Europe/Madrid", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Madrid", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("week", "Europe/Madrid", "2026-03-29T21:59", "2026-03-22T23:00", "2026-03-29T22:00"),
        ("month", "Europe/Madrid", "2026-03-01T00:00", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("month", None, "2024-02-29T00:00", "2024-02-01", "2024-03-01"),
        ("year", "Europe/Madrid", "2025-12-31T23:00", "2025-12-31T23:00", "2026-12-31T23:00"),
        ("hour", "Asia/Kolkata", "2026-03-01T10:29", "2026-03-01T09:30", "2026-03-01T10:30"),
        ("day", None, "1969-12-31T23:00", "1969-12-31", "1970-01-01"),
        ("week", None, "1969-12-29T00:00", "1969-12-29", "1970-01-05"),
        ("month", "Pacific/Auckland", "2199-12-30T00:00", "2199-11-30T11:00", "2199-12-31T11:00"),
        # No midnight on 2018-11-04 in São Paulo; no 2011-12-30 at all in Apia.
        ("day", "America/Sao_Paulo", "2018-11-04T03:00", "2018-11-04T03:00", "2018-11-05T02:00"),
        ("day", "America/Sao_Paulo", "2018-11-04T02:59", "2018-11-03T03:00", "2018-11-04T03:00"),
        ("day", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00"),
        ("day", "Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),
        # In Toronto, 1919, the clocks went from 23:30 to 00:30.
        ("day", "America/Toronto", "1919-03-31T04:30", "1919-03-31T04:30", "1919-04-01T04:00"),
        # Half an hour more or less on Lord Howe; in Santiago the day begins at 01:00.
        ("day", "Australia/Lord_Howe", "2026-04-05T00:00", "2026-04-04T13:00", "2026-04-05T13:30"),
        ("day", "Australia/Lord_Howe", "2026-10-04T00:00", "2026-10-03T13:30", "2026-10-04T13:00"),
        ("hour", "Australia/Lord_Howe", "2026-10-03T15:50", "2026-10-03T14:30", "2026-10-03T16:00"),
        ("day", "America/Santiago", "2026-09-06T12:00", "2026-09-06T04:00", "2026-09-07T03:00"),
        ("week", "America/St_Johns", "2026-03-08T12:00", "2026-03-02T03:30", "2026-03-09T02:30"),
        ("day", "America/Havana", "2025-11-02T12:00", "2025-11-02T04:00", "2025-11-03T05:00"),
    ],
)
def test_days_are_as_long_as_they_are(unit, zone, row, start, end):
    rows = [(at(row), "a"), (at(start), "a"), (at(end) - 1e-3, "a"), (at(end), "b")]
    found = left(calendar(unit, zone), rows)
    assert (at(start), at(end), "a", 3) in found
    assert [one[2:] for one in found] == [("a", 3), ("b", 1)]


def test_an_hour_that_the_clocks_show_twice_is_two():
    grid = Calendar("hour", time_zone("Europe/Madrid"))
    low = round(at("2026-10-24T22:00")) * SECOND
    assert len(grid.between(low, low + 25 * 3600 * SECOND - 1)) == 25
    low = round(at("2026-03-28T23:00")) * SECOND
    assert len(grid.between(low, low + 23 * 3600 * SECOND - 1)) == 23


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Monrovia"])
@pytest.mark.parametrize("year", [1955, 1972, 1986, 2026])
def test_hours_follow_each_other_without_a_gap(zone, year):
    grid = Calendar("hour", time_zone(zone))
    low = round(at(f"{year}-01-01")) * SECOND
    hours = grid.between(low, low + 366 * 86_400 * SECOND)
    starts, ends = grid.starts(hours), grid.ends(hours)
    assert (ends[:-1] == starts[1:]).all()
    lengths = (ends - starts) // (60 * SECOND)
    assert lengths.min() >= 60
    assert lengths.max() < 120
    assert (grid.panes(ends - 1, int(starts[0]), int(ends[-1]))[2] == hours).all()
    for start in starts[::500].tolist():
        local = datetime.fromtimestamp(start // SECOND, UTC).astimezone(time_zone(zone))
        assert (local.minute, local.second) == (0, 0)


def test_a_calendar_day_closes_when_it_is_over_there():
    window = calendar("day", "Europe/Madrid", late="1h")
    window.process(batch((at("2026-03-29T12:00"), "a")))
    over = round(at("2026-03-29T22:00")) * SECOND
    assert window.advance(over - 1) == ()
    assert len(window.advance(over)) == 1
    assert window.process(batch((at("2026-03-29T21:00"), "a"))) == ()
    ((_, out),) = window.advance(over)
    assert out["n"].tolist() == [2]
    window.advance(over + 3600 * SECOND)
    ((port, _),) = window.process(batch((at("2026-03-29T21:00"), "a")))
    assert port == "late"


def test_a_century_of_calendar_costs_little():
    window = calendar("hour", "Europe/Madrid")
    window.process(batch(*[(year * 31_556_952, "a") for year in range(-200, 229, 3)]))
    assert sum(len(out) for _, out in window.advance(ENDED)) == 143
    assert window.state_bytes() < 1_000_000


def test_a_zone_that_is_a_fixed_offset_gives_its_days():
    grid = Calendar("day", timezone(timedelta(hours=5, minutes=45)))
    starts = grid.starts(grid.between(0, 10 * 86_400 * SECOND))
    assert {int(b - a) // SECOND for a, b in pairwise(starts)} == {86_400}
    assert int(starts[0]) // SECOND == 86_400 - 20_700


def sliding(**more):
    return Window(sliding="10s", by="key", aggregate={"n": "count()", "sum": "sum(x)"}, **more)


def test_a_sliding_window_ends_with_each_row():
    given = [(0, "a", 1.0), (4, "a", 2.0), (4, "b", 5.0), (10, "a", 4.0), (14, "a", 8.0)]
    assert left(sliding(), given) == [
        (-10, 0, "a", 1, 1.0),
        (-6, 4, "a", 2, 3.0),
        (-6, 4, "b", 1, 5.0),
        (0, 10, "a", 2, 6.0),
        (4, 14, "a", 2, 12.0),
    ]


def test_rows_of_one_time_leave_as_one():
    given = [(4, "a", 2.0), (3, "a", 1.0), (4, "a", 4.0), (4.0000001, "a", 8.0)]
    assert left(sliding(), given) == [(-7, 3, "a", 1, 1.0), (-6, 4, "a", 4, 15.0)]


def test_a_sliding_window_leaves_when_the_watermark_has_passed_its_row():
    window = sliding()
    window.process(batch((4, "a", 1.0)))
    assert window.advance(4 * SECOND) == ()
    ((_, out),) = window.advance(4 * SECOND + 1000)
    assert out.times.tolist() == [4 * SECOND]
    assert late(sliding(), 5, [(4.9, "a"), (5, "a")]) == [(4.9, "a")]


def test_sliding_state_is_the_rows_of_two_windows():
    window, most = sliding(), 0
    for k in range(300):
        window.process(batch(*[(k, f"k{j}", 1.0) for j in range(20)]))
        outs = [row for _, out in window.advance((k + 1) * SECOND) for row in out.rows()]
        assert [row["n"] for row in outs] == [min(10, k + 1)] * 20
        most = max(most, len(window.snapshot().arrays["cell.rows"]))
    assert most <= 20 * 21
    window.advance(10_000 * SECOND)
    assert len(window.snapshot().arrays["cell.rows"]) == 0


def count(**more):
    return Window(
        **{"count": 3, "by": "key", "aggregate": {"n": "count()", "sum": "sum(x)"}} | more
    )


def test_windows_of_so_many_rows():
    given = [(5, "a", 16.0), (1, "a", 1.0), (2, "b", 9.0), (3, "a", 4.0), (2, "a", 2.0)]
    assert left(count(), given, 4, [(6, "a", 32.0), (7, "a", 64.0)]) == [
        (1, 3.000001, "a", 3, 7.0),
        (2, 2.000001, "b", 1, 9.0),
        (5, 7.000001, "a", 3, 112.0),
    ]


def test_a_count_is_over_as_well_when_it_was_open_too_long():
    window = count(max="10s")
    assert left(window, [(0, "a", 1.0), (9.9, "a", 2.0)], 9, [(10, "a", 4.0)]) == [
        (0, 10, "a", 2, 3.0),
        (10, 20, "a", 1, 4.0),
    ]
    window = count(max="10s")
    window.process(batch((0, "b", 1.0)))
    assert window.advance(10 * SECOND - 1) == ()
    assert len(window.advance(10 * SECOND)) == 1
    assert late(count(max="10s"), 5, [(4, "a")]) == [(4, "a")]


def test_the_last_rows_every_few_rows():
    window = count(count=4, every=2)
    given = [(k, "a", float(2**k)) for k in range(7)]
    assert left(window, given) == [
        (0, 1.000001, "a", 2, 3.0),
        (0.000001, 3.000001, "a", 4, 15.0),
        (2, 5.000001, "a", 4, 60.0),
        (4, 6.000001, "a", 3, 112.0),
    ]


def test_no_two_windows_of_a_key_have_the_same_start():
    window = count(count=2)
    rows = left(window, [(5, key, 1.0) for key in "abababaaaa"])
    mine = [row for row in rows if row[2] == "a"]
    assert [round((row[0] - 5) * 1e6) for row in mine] == [0, 1, 2, 3]
    assert [round((row[1] - row[0]) * 1e6) for row in mine] == [1, 1, 1, 1]
    assert [row[3] for row in mine] == [2, 2, 2, 1]


def test_the_state_of_keys_that_were_counted_out_is_given_back():
    window = count()
    for k in range(40):
        window.process(batch(*[(k, f"{k}-{j}", 1.0) for j in range(300)] * 3))
        window.advance((k + 1) * SECOND)
    assert window.state_keys() < 4000


def between(**more):
    fields = {"opens": "s == 'on'", "closes": "s == 'off'", "by": "key"}
    return Window(**{**fields, "aggregate": {"n": "count()", "sum": "sum(x)"}, **more})


STATES = [
    (0, "a", 1.0, "off"),
    (1, "a", 2.0, "on"),
    (2, "a", 4.0, None),
    (3, "b", 8.0, "on"),
    (4, "a", 16.0, "on"),
    (5, "a", 32.0, "off"),
    (6, "a", 64.0, None),
    (7, "a", 128.0, "on"),
]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (
            {},
            [(1, 5.000001, "a", 4, 54.0), (3, 3.000001, "b", 1, 8.0), (7, 7.000001, "a", 1, 128.0)],
        ),
        (
            {"closes": None},
            [
                (1, 4, "a", 2, 6.0),
                (3, 3.000001, "b", 1, 8.0),
                (4, 7, "a", 3, 112.0),
                (7, 7.000001, "a", 1, 128.0),
            ],
        ),
        (
            {"opens": None},
            [
                (0, 0.000001, "a", 1, 1.0),
                (1, 5.000001, "a", 4, 54.0),
                (3, 3.000001, "b", 1, 8.0),
                (6, 7.000001, "a", 2, 192.0),
            ],
        ),
        (
            {"max": "2s"},
            [(1, 3, "a", 2, 6.0), (3, 5, "b", 1, 8.0), (4, 5.000001, "a", 2, 48.0),
             (7, 9, "a", 1, 128.0)],
        ),
        (
            {"closes": "x > 3"},
            [(1, 2.000001, "a", 2, 6.0), (3, 3.000001, "b", 1, 8.0), (4, 4.000001, "a", 1, 16.0),
             (7, 7.000001, "a", 1, 128.0)],
        ),
    ],
)  # fmt: skip
def test_rows_open_and_close_windows(fields, wanted):
    assert left(between(**fields), STATES[:5][::-1], 3, STATES[5:]) == wanted


def test_a_window_that_never_closes_is_one_cell_and_leaves_at_the_end():
    window = between()
    for k in range(100):
        window.process(batch((k, "a", 1.0, "on" if k == 0 else None)))
        assert window.advance((k + 1) * SECOND) == ()
    assert len(window.snapshot().arrays["cell.rows"]) == 1
    ((_, out),) = window.advance(ENDED)
    assert out["n"].tolist() == [100]


def total(**more):
    return Window(global_=True, emit_every="10s", by="key", aggregate=N, **more)


def test_a_global_window_leaves_again_and_again():
    given = [(1, "a"), (12, "a"), (13, "b"), (55, "a")]
    assert left(total(), given, 100, [(3, "b")], 100) == [
        (0, 10, "a", 1),
        (0, 20, "a", 2),
        (0, 20, "b", 1),
        (0, 60, "a", 3),
        (0, 110, "b", 2),
    ]


def test_early_results_hold_the_rows_before_them():
    window = Window(tumbling="10s", emit_every="4s", by="key", aggregate=N)
    given = [(9, "a"), (1, "a"), (4, "a"), (11, "b"), (3.9, "b")]
    found = check_operator(window, [*events(given, 30), ENDED])[""]
    assert [
        (row["@time"] / SECOND, row["window_start"].second, row["key"], row["n"]) for row in found
    ] == [
        (4 - 1e-9, 0, "a", 1),
        (4 - 1e-9, 0, "b", 1),
        (8 - 1e-9, 0, "a", 2),
        (10 - 1e-9, 0, "a", 3),
        (10 - 1e-9, 0, "b", 1),
        (12 - 1e-9, 10, "b", 1),
        (20 - 1e-9, 10, "b", 1),
    ]


def test_early_results_of_sessions():
    window = Window(session="5s", emit_every="2s", by="key", aggregate=N)
    assert left(window, [(1, "a"), (3, "a"), (7.5, "a")], 8, 20) == [
        (1, 6, "a", 1),
        (1, 8, "a", 2),
        (1, 12.5, "a", 3),
        (1, 12.5, "a", 3),
    ]


def test_silence_brings_no_early_results():
    window = Window(tumbling="1h", emit_every="1s", by="key", aggregate=N)
    window.process(batch((0.5, "a")))
    assert len(window.advance(1 * SECOND)) == 1
    assert window.advance(3000 * SECOND) == ()


def empty(**more):
    return Window(tumbling="10s", by="key", emit_empty=True, **{"aggregate": N, **more})


def test_keys_that_are_known_leave_without_rows():
    aggregate = {"n": "count()", "avg": "mean(x)", "last": "last(s)"}
    given = [(1, "a", 1.0, "x"), (25, "b", 2.0, "y"), (45, "a", 3.0, "z")]
    assert left(empty(aggregate=aggregate, forget="20s"), given) == [
        (0, 10, "a", 1, 1.0, "x"),
        (10, 20, "a", 0, None, None),
        (20, 30, "a", 0, None, None),
        (20, 30, "b", 1, 2.0, "y"),
        (30, 40, "b", 0, None, None),
        (40, 50, "a", 1, 3.0, "z"),
        (40, 50, "b", 0, None, None),
    ]


def test_a_key_is_missed_until_it_is_forgotten():
    window = empty(forget="1m")
    window.process(batch((1, "a")))
    rows = []
    for k in range(1, 30):
        rows += [row for _, out in window.advance(k * 10 * SECOND) for row in out.rows()]
    assert [row["n"] for row in rows] == [1, 0, 0, 0, 0, 0, 0]
    assert window.process(batch((295, "a"))) == ()
    assert sum(len(out) for _, out in window.advance(400 * SECOND)) == 7
    assert window.advance(ENDED) == ()


def test_a_leap_of_time_is_filled_no_further_than_a_key_is_known():
    window = empty(forget="1h")
    window.process(batch((0, "a"), (1e9, "a")))
    rows = sum(len(out) for _, out in window.advance(2_000_000_000 * SECOND))
    assert rows == 2 + 360 + 360


def test_keys_that_are_missed_are_not_forgotten():
    window = empty(forget="10d")
    window.process(batch(*[(1, f"k{j}") for j in range(3000)]))
    for k in range(1, 80):
        rows = sum(len(out) for _, out in window.advance(k * 10 * SECOND))
        assert rows == 3000
    other = empty(forget="10d")
    other.restore(read_state(write_state(window.snapshot())))
    assert sum(len(out) for _, out in other.advance(800 * SECOND)) == 3000


@pytest.mark.parametrize("unit", ["day", "hour"])
def test_empty_days_of_a_calendar(unit):
    window = calendar(unit, "Europe/Madrid", emit_empty=True, forget="7d")
    given = [(at("2026-03-27T12:00"), "a"), (at("2026-03-30T12:00"), "a")]
    rows = left(window, given)
    assert [row[3] for row in rows] == ([1, 0, 0, 1] if unit == "day" else [1, *[0] * 71, 1])
    assert {row[1] - row[0] for row in rows} == ({86_400, 82_800} if unit == "day" else {3600})


KINDS = [
    {"calendar": "hour", "zone": "Asia/Kolkata", "late": "1h"},
    {"sliding": "7s"},
    {"count": 3},
    {"count": 3, "max": "6s", "emit_every": "4s"},
    {"count": 4, "every": 2},
    {"opens": "x > 1000000", "closes": "x < 999999"},
    {"opens": "x > 1000000", "max": "5s", "emit_every": "3s"},
    {"closes": "key == 'b'"},
    {"global_": True, "emit_every": "5s"},
    {"tumbling": "10s", "emit_every": "3s", "emit_empty": True, "late": "5s"},
    {"hopping": "10s", "every": "4s", "emit_empty": True},
    {"session": "5s", "max": "9s", "emit_every": "2s"},
]


@pytest.mark.parametrize("fields", KINDS)
def test_the_kit_holds_for_every_kind(fields):
    aggregate = {
        "n": "count()",
        "avg": "mean(x)",
        "sd": "stddev(x)",
        "top": "max(x + 1)",
        "last": "last(key)",
        "p": "quantile(x, 0.5)",
        "rate": "rate(x)",
    }
    rng = np.random.default_rng(7)
    given = []
    for k in range(4):
        moments = k * 4 + rng.integers(-3, 4, 6)
        keys = rng.choice(["a", "b", None], 6)
        values = rng.normal(1e6, 1, 6)
        given.append([(t, key, x) for t, key, x in zip(moments, keys, values, strict=True)])
        given.append(k * 4 - 3)
    for by in ([], ["key"]):
        check_operator(Window(**fields, by=by, aggregate=aggregate), [*events(*given), ENDED])


@pytest.mark.parametrize("fields", KINDS)
def test_odd_input_has_a_defined_result(fields):
    """Times without room, NaN, infinities, the ends of int64, a column that changes its type."""
    window = Window(**fields, by="key", aggregate={"n": "count()", "hi": "max(x)", "s": "sum(x)"})
    odd = [
        Batch({}, np.zeros(0, np.int64)),
        from_rows([{"key": "a", "x": 1}], [-(2**63)]),
        from_rows([{"key": "a", "x": 1}], [2**63 - 1]),
        from_rows([{"key": "a", "x": 2**63 - 1}, {"key": "a", "x": -(2**63)}], [0, SECOND]),
        from_rows([{"key": "a", "x": float("nan")}, {"key": None, "x": float("inf")}], [0, 0]),
        from_rows([{"key": 5, "x": True}, {"key": 6, "x": False}], [SECOND, 2 * SECOND]),
        from_rows([{"key": "a", "x": "7"}, {"key": "a", "x": "seven"}], [SECOND, 3 * SECOND]),
        from_rows([{"key": "a", "x": -1.5}], [-30 * 365 * 86_400 * SECOND]),
        from_rows([{"key": "a", "x": -1.5}], [7_258_118_399_000_000_000]),
        from_rows([{"other": 1}], [SECOND]),
    ]
    outs = [out for one in odd for out in window.process(one)]
    assert [len(rows) for port, rows in outs if port == "late"] == [1, 1]
    window.restore(read_state(write_state(window.snapshot())))
    for moment in (0, 5 * SECOND, 60 * SECOND, ENDED):
        outs += window.advance(moment)
    rows = [row for port, out in outs if port == "" for row in out.rows()]
    assert rows
    assert {row["key"] for row in rows} <= {"a", None, "5", "6"}
    assert window.advance(ENDED) == ()


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"sliding": "1m", "count": 5}, ("count",), "beside sliding"),
        ({"tumbling": "1m", "opens": "x > 1"}, ("opens",), "beside tumbling"),
        ({"global": True, "closes": "x > 1"}, ("global",), "beside closes"),
        ({"sliding": "0s"}, ("sliding",), "whole microseconds"),
        ({"sliding": "1m", "late": "1m"}, ("late",), "does not go with"),
        ({"count": 5, "late": "1m"}, ("late",), "does not go with"),
        ({"sliding": "1m", "emit_every": "1s"}, ("emit_every",), "belongs to"),
        ({"session": "1m", "emit_empty": True}, ("emit_empty",), "belongs to tumbling"),
        ({"count": 0}, ("count",), "at least 1"),
        ({"count": 5, "every": 6}, ("every",), "more than"),
        ({"count": 5, "every": "1s"}, ("every",), "number of rows"),
        ({"count": 5, "every": 0}, ("every",), "number of rows"),
        ({"count": 5, "every": 2, "max": "1s"}, ("max",), "does not go with every"),
        ({"count": 5, "every": 2, "emit_every": "1s"}, ("emit_every",), "does not go with every"),
        ({"hopping": "1m", "every": 10}, ("every",), "duration"),
        ({"hopping": "1m", "every": "0s"}, ("every",), "whole microseconds"),
        ({"calendar": "fortnight"}, ("calendar",), "choices"),
        ({"calendar": "day", "zone": "Europe/Madird"}, ("zone",), "no time zone"),
        ({"calendar": "day", "zone": "/etc/passwd"}, ("zone",), "no time zone"),
        ({"tumbling": "1m", "zone": "UTC"}, ("zone",), "belongs to calendar"),
        ({"global": True}, ("global",), "needs emit_every"),
        ({"tumbling": "1m", "emit_every": "1m"}, ("emit_every",), "not shorter"),
        ({"opens": "x >"}, ("opens",), ""),
        ({"tumbling": "1m", "max": "1m"}, ("max",), "belongs to session, count"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(fields, path, message):
    with pytest.raises(ConfigError) as caught:
        build(Window, {"by": ["key"], "aggregate": N, **fields})
    assert path in [problem.path for problem in caught.value.problems]
    assert message in str(caught.value)


def test_conditions_are_held_against_the_columns():
    schema = Schema.of_kinds({"key": "string", "x": "float", "s": "string"})
    assert between().infer(schema).kind("n") == "int"
    assert between().uses() == {"key": "any", "x": "float", "s": "string"}
    with pytest.raises(ConfigError) as caught:
        between(opens="y > 1", closes="x + 1").infer(schema)
    assert [problem.path for problem in caught.value.problems] == [("opens",), ("closes",)]


def test_yaml_and_python_make_the_same():
    written = {"count": 10, "every": 5, "by": "key", "aggregate": N}
    assert build(Window, written) == Window(count=10, every=5, by=["key"], aggregate=N)
    written = {"global": True, "emit_every": "1m", "aggregate": N}
    assert build(Window, written) == Window(global_=True, emit_every="60s", aggregate=N)


def test_a_snapshot_of_other_windows_is_refused():
    saved = calendar("day").snapshot()
    with pytest.raises(ConfigError, match="saved state is of calendar day"):
        calendar("week").restore(saved)
    with pytest.raises(ConfigError, match="opens"):
        between(opens="s == 'ON'").restore(between().snapshot())
