from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.errors import ConfigError
from edgestream.operators.throttle import Throttle
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator
from tests.operators.streams import ANY, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float"})


def reference(events, rate, per, burst, forget):
    """A bucket that is filled and emptied, as the book has it."""

    def step(bucket, row, time):
        if not bucket:
            bucket.update(tokens=Fraction(burst), at=time)
        if time >= bucket["at"]:
            come = Fraction(time - bucket["at"]) * rate / per
            bucket.update(tokens=min(Fraction(burst), bucket["tokens"] + come), at=time)
            tokens = bucket["tokens"]
        else:
            tokens = bucket["tokens"] - Fraction(bucket["at"] - time) * rate / per
        if tokens >= 1:
            bucket["tokens"] -= 1
        yield ("" if tokens >= 1 else "dropped"), row

    return slowly(events, forget, dict, step)


@ANY
@given(streams(), st.sampled_from([1, 2, 5]), st.integers(1, 4), st.integers(1, 20))
def test_any_stream(events, rate, burst, seconds):
    step = Throttle(rate, f"{seconds}s", by="device", burst=burst, forget="40s")
    same(step, events, reference(events, rate, seconds * S, burst, 40 * S))


def passed(times, *settings, **more):
    rows = from_rows([{"n": n} for n in range(len(times))], times)
    left = check_operator(Throttle(*settings, **more), [rows])
    assert len(left.get("", [])) + len(left.get("dropped", [])) == len(times)
    return [row["n"] for row in left.get("", [])]


def test_a_burst_and_then_the_rate():
    assert passed([0] * 7, 5, "1s") == [0, 1, 2, 3, 4]
    assert passed([0, 0, 0, S // 5, S // 5, 2 * S // 5], 5, "1s", burst=2) == [0, 1, 3, 5]


def test_a_rate_below_one():
    assert passed([n * S for n in range(7)], 0.5, "1s") == [0, 2, 4, 6]
    hour = 3600 * S
    assert passed([0, 1, hour, 24 * hour], 1, "1d") == [0, 3]


def test_many_rows_of_a_slow_key():
    assert passed([0] * 50, 1, "3650d") == [0]


def test_schema():
    step = Throttle(5, by="device")
    assert step.infer(SCHEMA) == step.port_schema("dropped", SCHEMA) == SCHEMA
    assert step.uses() == {"device": "any"}
    assert step.passes(frozenset({"n"})) == {"n"}
    with pytest.raises(ConfigError, match="did you mean 'device'"):
        Throttle(1, by="devise").infer(SCHEMA)


@pytest.mark.parametrize(
    ("rate", "settings"),
    [(0, {}), (-1, {}), (3e9, {}), (1e-9, {}), (1, {"burst": 0}), (1, {"burst": 10**10})],
)
def test_refused_when_made(rate, settings):
    with pytest.raises(ConfigError):
        Throttle(rate, **settings)
