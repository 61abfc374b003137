import numpy as np
import pytest

from edgestream.batch import Batch, Column, Strings
from edgestream.errors import ConfigError
from edgestream.eventtime import ENDED, UNKNOWN, Time, Watermark
from edgestream.window.fronts import Fronts

SECOND = 1_000_000_000


def ns(*seconds: float) -> np.ndarray:
    return np.array([round(s * SECOND) for s in seconds], np.int64)


@pytest.mark.parametrize(
    ("time", "column", "expected"),
    [
        (Time("t"), np.array([1, 2]), ns(1, 2)),
        (Time("t"), np.array([1.25]), ns(1.25)),
        (Time("t", "ms"), np.array([1500]), ns(1.5)),
        (Time("t", "us"), np.array([1.0]), np.array([1000])),
        (Time("t", "ns"), np.array([7]), np.array([7])),
        (Time("t"), Strings.of(["1970-01-01T00:00:01Z"]), ns(1)),
        (Time("t", "iso8601"), Strings.of(["1970-01-01T01:00:00.5+01:00"]), ns(0.5)),
        (Time("t"), np.array(["1970-01-01T00:00:02"], "datetime64[us]"), ns(2)),
        (Time("t"), np.array([-5]), ns(-5)),
    ],
)
def test_times_are_read(time: Time, column: Column, expected: np.ndarray) -> None:
    times, bad = time.read(column, len(column))
    assert times.tolist() == expected.tolist()
    assert bad == {}


@pytest.mark.parametrize(
    ("time", "column", "reason"),
    [
        (Time("t"), None, "the time column 't' is missing"),
        (Time("t"), np.array([np.nan]), "the time column 't' is missing"),
        (Time("t"), Strings.of([None]), "the time column 't' is missing"),
        (Time("t"), np.array([1732390000123]), "'t' holds 1732390000123, which is not a time in s"),
        (Time("t"), np.array([np.inf]), "holds inf"),
        (Time("t"), np.array([1e300]), "not a time in s"),
        (Time("t", "ms"), Strings.of(["2026-01-01"]), "not a time in ms"),
        (Time("t"), Strings.of(["yesterday"]), "holds 'yesterday'"),
        (Time("t", "iso8601"), np.array([5]), "not an ISO 8601 time"),
        (Time("t", "ns"), np.array([np.iinfo(np.int64).min]), "not a time in ns"),
        (Time("t"), np.array([True]), "not a time in s"),
        (Time("t"), np.array([np.iinfo(np.int64).min]), "not a time in s"),
        (Time("t", "ms"), np.array([np.iinfo(np.int64).min]), "not a time in ms"),
        (Time("t", "ms"), np.array([np.iinfo(np.int64).max]), "not a time in ms"),
        # beyond what 64 bits of nanoseconds hold
        (Time("t"), Strings.of(["9999-12-31T23:59:59Z"]), "holds '9999-12-31T23:59:59Z'"),
        (Time("t"), Strings.of(["0001-01-01"]), "holds '0001-01-01'"),
    ],
)
def test_what_is_no_time_is_refused_with_its_reason(
    time: Time, column: Column | None, reason: str
) -> None:
    _, bad = time.read(column, 1)
    assert reason in bad[0]


def test_only_the_bad_rows_are_refused() -> None:
    times, bad = Time("t").read(np.array([1.0, np.nan, 3.0]), 3)
    assert list(bad) == [1]
    assert times[[0, 2]].tolist() == ns(1, 3).tolist()


def test_the_watermark_follows_the_newest_row_and_never_goes_back() -> None:
    mark = Watermark(Time("t", delay="2s"))
    assert mark.value == UNKNOWN
    mark.observe(ns(10, 12, 11), received=12 * SECOND, monotonic=0)
    assert mark.value == 10 * SECOND
    mark.observe(ns(5), received=13 * SECOND, monotonic=0)
    assert mark.value == 10 * SECOND
    mark.observe(ns(), received=14 * SECOND, monotonic=0)
    assert mark.value == 10 * SECOND


def test_a_row_from_the_future_moves_nothing() -> None:
    mark = Watermark(Time("t", delay="0s", max_future="5m"))
    mark.observe(ns(100, 86_400), received=100 * SECOND, monotonic=0)
    assert mark.value == 100 * SECOND
    mark.observe(ns(90_000), received=101 * SECOND, monotonic=0)
    assert mark.value == 100 * SECOND


@pytest.mark.parametrize("by", [(), ("device",)])
def test_of_history_a_row_is_ahead_of_when_it_once_arrived(by: tuple[str, ...]) -> None:
    time = Time("t", delay="0s", max_future="5m", received="at", by=by)
    mark = Fronts(time) if by else Watermark(time)
    columns = {"device": Strings.of(["a", "a", "b"]), "at": np.array([100, 101, np.nan])}
    batch = Batch(columns, ns(100, 86_400, 99))
    mark.see(batch, received=10**9 * SECOND, monotonic=0)
    assert mark.value == (99 if by else 100) * SECOND
    # A row cannot have come later than now, whatever it says; without the column it came now.
    claimed = Batch({"at": np.array([10**6, 10**6])}, ns(200, 86_400))
    for batch in (claimed, Batch({}, ns(300, 86_400))):
        mark.observe(batch.times, mark._came(batch, 200 * SECOND), 0)
        assert mark.front == int(batch.times[0])


def test_silence_lets_the_clock_move_it() -> None:
    mark = Watermark(Time("t", delay="1s", idle="30s"))
    mark.observe(ns(100), received=100 * SECOND, monotonic=0)
    mark.tick(29 * SECOND)
    assert mark.value == 99 * SECOND
    mark.tick(30 * SECOND)
    assert mark.value == 129 * SECOND
    mark.observe(ns(110), received=131 * SECOND, monotonic=31 * SECOND)
    assert mark.value == 129 * SECOND


def test_arrival_time_moves_with_the_clock_at_once() -> None:
    mark = Watermark(None)
    mark.observe(ns(100), received=100 * SECOND, monotonic=0)
    assert mark.value == 100 * SECOND
    mark.tick(SECOND // 10)
    assert mark.value == 100 * SECOND + SECOND // 10


def test_a_source_that_never_gave_a_row_is_not_waited_for() -> None:
    mark = Watermark(Time("t", idle="30s"))
    mark.tick(0)
    assert not mark.excluded(29 * SECOND)
    assert mark.excluded(30 * SECOND)
    mark.observe(ns(1), received=SECOND, monotonic=30 * SECOND)
    assert not mark.excluded(90 * SECOND)


def test_the_end_and_a_restart() -> None:
    mark = Watermark(Time("t"))
    mark.observe(ns(10), received=10 * SECOND, monotonic=0)
    again = Watermark(Time("t"))
    again.restore(mark.snapshot())
    assert (again.value, again.front) == (9 * SECOND, 10 * SECOND)
    again.end()
    again.tick(10**15)
    assert again.value == ENDED


def test_the_time_of_a_pipeline_is_a_name_or_a_mapping() -> None:
    assert Time.from_config("ts") == Time("ts")
    assert Time.from_config({"field": "ts", "unit": "ms"}) == Time("ts", "ms")
    with pytest.raises(ValueError, match="name of a column"):
        Time.from_config(5)
    with pytest.raises(ConfigError, match="did you mean 'delay'"):
        Time.from_config({"field": "ts", "dellay": "2s"})
