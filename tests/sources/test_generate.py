import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, concat
from edgestream.clock import SECOND, ManualClock
from edgestream.errors import ConfigError
from edgestream.sources.generate import PAUSE, Generate
from edgestream.sources.signals import SIGNALS, Fleet
from edgestream.testing.connectors import context

START = "2026-11-24T00:00:00Z"
START_NS = 1_795_478_400 * SECOND


async def collect(source: Generate, clock: ManualClock | None = None, resume: Any = None) -> Batch:
    await source.open(context(clock=clock), resume)
    batches = [batch async for batch in source.batches()]
    await source.close()
    return concat(batches)


def same(left: Batch, right: Batch) -> bool:
    return left.rows() == right.rows() and left.times.tolist() == right.times.tolist()


async def test_a_count_gives_so_many_rows_of_known_shape():
    source = Generate(devices=3, count=4500, start=START)
    batch = await collect(source)
    assert len(batch) == 4500
    assert list(batch.columns) == list(source.schema().fields)
    assert not source.schema().open
    assert batch["device"].to_list()[:4] == ["sensor-1", "sensor-2", "sensor-3", "sensor-1"]
    assert batch.times[0] == START_NS
    assert set(np.diff(batch.times)) == {SECOND // 3}
    assert batch["ts"].astype("int64").tolist() == (batch.times // 1000).tolist()
    assert source.total() == (4500, 4500)


async def test_batches_are_small_and_share_one_dictionary():
    source = Generate(count=4500, start=START)
    await source.open(context(), None)
    batches = [batch async for batch in source.batches()]
    assert [len(batch) for batch in batches] == [2000, 2000, 500]
    assert len({id(batch["device"].dictionary) for batch in batches}) == 1


async def test_reading_goes_on_at_the_position_with_the_same_rows():
    def source() -> Generate:
        return Generate(count=5000, start=START, jitter="3s", seed=3, signals=list(SIGNALS))

    whole = await collect(source())
    first = source()
    await first.open(context(), None)
    items = first.batches()
    head = await anext(items)
    rest = await collect(source(), resume=first.position())
    assert first.position()["row"] == 2000
    assert same(concat([head, rest]), whole)


async def test_now_is_kept_in_the_position():
    clock = ManualClock(START_NS)
    first = Generate(count=10, rate=0)
    await first.open(context(clock=clock), None)
    later = ManualClock(START_NS + 3600 * SECOND)
    whole = await collect(Generate(count=10, rate=0), later, {**first.position(), "row": 0})
    assert whole.times[-1] == START_NS - SECOND // 10


@pytest.mark.parametrize("other", [{"seed": 1}, {"devices": 11}])
async def test_other_settings_give_other_values(other):
    mine = await collect(Generate(count=50, start=START))
    theirs = await collect(Generate(count=50, start=START, **other))
    assert mine["temperature"].tolist() != theirs["temperature"].tolist()


async def take(items: AsyncIterator[Batch], into: list[Batch]) -> None:
    async for batch in items:
        into += [batch]


async def run_for(source: Generate, clock: ManualClock, spans: list[int], resume: Any = None):
    """The rows that came after each step of the clock."""
    await source.open(context(clock=clock), resume)
    got: list[Batch] = []
    task = asyncio.create_task(take(source.batches(), got))
    counts = []
    for span in spans:
        await clock.advance(span)
        for _ in range(50):
            await asyncio.sleep(0)
        counts.append(sum(map(len, got)))
    task.cancel()
    return got, counts


async def test_rows_come_at_the_rate():
    clock = ManualClock(START_NS)
    got, counts = await run_for(Generate(rate=5, devices=2), clock, [0, *[SECOND // 10] * 10])
    assert counts == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    times = concat(got).times - START_NS
    assert times.tolist() == [i * SECOND // 5 for i in range(6)]


async def test_a_fast_pace_gives_one_batch_each_pause():
    got, _ = await run_for(Generate(rate=10_000), ManualClock(START_NS), [0, *[PAUSE // 4] * 20])
    assert [len(batch) for batch in got] == [1, 200, 200, 200, 200, 200]


async def test_an_endless_source_without_a_rate_gives_a_row_a_second_for_each_device():
    spans = [0, *[SECOND // 4] * 8]
    _, counts = await run_for(Generate(devices=4), ManualClock(START_NS), spans)
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(("start", "owed"), [("now", 101), (START, 1)])
async def test_rows_owed_after_a_stop_come_at_once_only_when_counting_from_now(start, owed):
    clock = ManualClock(START_NS + 10 * SECOND)
    resume = {"row": 100, "start": START_NS}
    got, counts = await run_for(Generate(rate=20, start=start), clock, [0], resume)
    assert counts == [owed]
    assert got[0].times[0] == START_NS + 5 * SECOND


async def test_a_bounded_source_from_now_ends_now():
    batch = await collect(Generate(count=100, devices=10), ManualClock(START_NS))
    assert batch.times[-1] == START_NS - SECOND // 10


async def test_jitter_only_makes_rows_older():
    late = await collect(Generate(count=1000, start=START, jitter="5s"))
    straight = await collect(Generate(count=1000, start=START))
    delay = straight.times - late.times
    assert delay.min() >= 0
    assert delay.max() < 5 * SECOND
    assert (np.diff(late.times) < 0).any()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": "tomorrow"}, "not a time"),
        ({"signals": ["temperature", "temperature"]}, "twice"),
        ({"signals": ["temprature"]}, "did you mean 'temperature'"),
        ({"devices": 0}, "at least 1"),
        ({"rate": -1}, "at least 0"),
    ],
)
def test_wrong_settings_are_told(fields, words):
    with pytest.raises(ConfigError, match=words):
        Generate(**fields)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10**9), st.integers(0, 100), st.integers(0, 2**31), st.sampled_from([1, 7, 5000])
)
def test_any_row_can_be_made_on_its_own(first, offset, seed, devices):
    fleet = Fleet(devices, START_NS, 10**8, seed, 10**9, signals=tuple(SIGNALS))
    many = fleet.rows(first, offset + 1)
    one = fleet.rows(first + offset, 1)
    assert same(many.take(slice(offset, None)), one)


def test_signals_look_like_the_real_thing():
    fleet = Fleet(5, START_NS, 60 * SECOND, signals=tuple(SIGNALS))
    batch = fleet.rows(0, 5 * 1440)
    first = batch["device"] == "sensor-1"
    hour = (batch.times // (3600 * SECOND)) % 24
    warm = batch["temperature"]
    assert warm[hour == 15].mean() > warm[hour == 3].mean() + 4
    assert np.corrcoef(warm[first], batch["humidity"][first])[0, 1] < -0.5
    assert np.abs(np.diff(warm[first])).max() < 1.5
    assert len(np.unique(warm)) > 500
    for name, low, high in [
        ("temperature", -10, 45),
        ("humidity", 5, 100),
        ("battery", 15, 100),
        ("pressure", 980, 1045),
    ]:
        assert low <= batch[name].min() < batch[name].max() <= high
    steps = np.diff(batch["battery"][first])
    assert (steps <= 0).mean() > 0.99


def test_noise_is_bell_shaped_and_independent():
    fleet = Fleet(1, START_NS, 1, signals=("pressure",))
    values = fleet.rows(0, 20_000)["pressure"]
    noise = values - values.mean()
    assert 0.06 < noise.std() < 0.1
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.03
