import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.errors import ConfigError
from edgestream.operators.sample import Sample
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator
from tests.operators.streams import ANY, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float"})


def reference(events, every, forget):
    def step(state, row, time):
        period = math.floor(time / every)
        yield ("" if period > state.get("period", -math.inf) else "dropped"), row
        state["period"] = max(period, state.get("period", -math.inf))

    return slowly(events, forget, dict, step)


@ANY
@given(streams(), st.integers(1, 12))
def test_the_first_row_of_every_period(events, seconds):
    step = Sample(every=f"{seconds}s", by="device", forget="15s")
    same(step, events, reference(events, seconds * S, 15 * S))


def test_periods_lie_on_the_clock():
    times = [9 * S, 10 * S, 19 * S, 20 * S, 15 * S, 30 * S]
    left = check_operator(Sample(every="10s"), [from_rows([{"n": n} for n in range(6)], times)])
    assert [row["n"] for row in left[""]] == [0, 1, 3, 5]
    assert [row["n"] for row in left["dropped"]] == [2, 4]


@given(streams(), st.sampled_from([0, 0.3, 1]))
@ANY
def test_a_fraction_of_rows_loses_none(events, fraction):
    left = check_operator(Sample(fraction=fraction), events)
    rows = sorted(row["n"] for port in left.values() for row in port)
    assert rows == list(range(len(rows)))
    assert len(left.get("", [])) <= len(rows) * math.ceil(fraction)
    assert fraction < 1 or "dropped" not in left


def test_a_fraction_of_rows_is_about_that():
    rows = from_rows([{"n": n} for n in range(20_000)])
    for fraction in (0.01, 0.1, 0.5):
        kept = len(run_operator(Sample(fraction=fraction), [rows])[""])
        assert abs(kept - fraction * 20_000) < 4 * math.sqrt(20_000 * fraction)


def test_with_a_key_all_its_rows_or_none():
    rows = from_rows([{"d": f"d{n % 100}", "n": n} for n in range(1000)])
    left = run_operator(Sample(fraction=0.3, by="d"), [rows])
    kept, dropped = ({row["d"] for row in left[port]} for port in ("", "dropped"))
    assert not kept & dropped
    assert len(kept | dropped) == 100
    assert 15 < len(kept) < 45
    again = run_operator(Sample(fraction=0.3, by="d"), [rows.take(slice(None, None, -1))])
    assert {row["d"] for row in again[""]} == kept


@ANY
@given(streams())
def test_a_key_is_chosen_whenever_it_comes(events):
    left = check_operator(Sample(fraction=0.5, by=["device", "x"], forget="5s"), events)
    kept, dropped = (
        {(row["device"], row["x"]) for row in left.get(port, [])} for port in ("", "dropped")
    )
    assert not kept & dropped


def test_a_key_is_chosen_in_whatever_form_it_comes():
    whole = from_rows([{"d": n} for n in range(50)])
    floats = whole.with_columns(d=np.arange(50) * 1.0)
    left = [run_operator(Sample(fraction=0.5, by="d"), [rows])[""] for rows in (whole, floats)]
    assert [row["d"] for row in left[0]] == [row["d"] for row in left[1]]


def test_schema():
    step = Sample(every="1s", by="device")
    assert step.infer(SCHEMA) == step.port_schema("dropped", SCHEMA) == SCHEMA
    assert step.uses() == {"device": "any"}
    assert step.passes(frozenset({"n"})) == {"n"}
    with pytest.raises(ConfigError, match="did you mean 'device'"):
        Sample(every="1s", by="devise").infer(SCHEMA)


@pytest.mark.parametrize(
    "settings", [{}, {"every": "1s", "fraction": 0.1}, {"every": "0s"}, {"fraction": 1.5}]
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Sample(**settings)
