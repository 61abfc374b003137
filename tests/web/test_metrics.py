import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from edgestream.web.metrics import LEFT_OUT, Sample, render


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def series(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_text_as_the_standard_writes_it() -> None:
    samples = [
        Sample("rows_total", "counter", "Rows.", {"node": "a"}, 2**53 + 1),
        Sample("lag_seconds", "gauge", "Behind.", {}, 0.25),
        Sample("rows", "counter", "Rows.", {"node": "b"}, 3.0),
    ]
    assert render(samples) == (
        "# HELP rows Rows.\n# TYPE rows counter\n"
        'rows_total{node="a"} 9007199254740993\nrows_total{node="b"} 3\n'
        "# HELP lag_seconds Behind.\n# TYPE lag_seconds gauge\nlag_seconds 0.25\n"
        "# HELP edgestream_metrics_left_out "
        "Series missing from this page: above the limit, given twice or not expressible.\n"
        "# TYPE edgestream_metrics_left_out gauge\nedgestream_metrics_left_out 0\n# EOF\n"
    )


def test_series_above_the_limit_are_counted_not_written() -> None:
    samples = [Sample("rows", "counter", "Rows.", {"n": str(n)}, n) for n in range(2_500)]
    values = parsed(render(samples))
    assert len(values) == 2_001
    assert values[series(LEFT_OUT)] == 500


@pytest.mark.parametrize(
    "wrong",
    [
        Sample("no-name", "gauge", "", {}, 1),
        Sample("", "gauge", "", {}, 1),
        Sample("a", "gauge", "", {"no-label": "x"}, 1),
        Sample("rows_total", "gauge", "", {}, 1),
        Sample("rows", "gauge", "", {}, 1),
        Sample("rows", "counter", "", {}, 1),
        Sample("more", "counter", "", {}, -1),
        Sample("more", "counter", "", {}, math.nan),
        Sample("more", "counter", "", {}, math.inf),
        Sample(LEFT_OUT, "gauge", "", {}, 7),
    ],
)
def test_what_cannot_be_said_is_counted_and_the_rest_stays(wrong: Sample) -> None:
    values = parsed(render([Sample("rows", "counter", "Rows.", {}, 5), wrong]))
    assert values == {series("rows_total"): 5, series(LEFT_OUT): 1}


@pytest.mark.parametrize(
    ("value", "text"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (1e300, "1e+300")]
)
def test_special_numbers(value: float, text: str) -> None:
    page = render([Sample("g", "gauge", "", {}, value)])
    assert f"\ng {text}\n" in page
    assert parsed(page)[series("g")] == value


def test_a_missing_number_is_nan() -> None:
    assert math.isnan(parsed(render([Sample("g", "gauge", "", {}, math.nan)]))[series("g")])


NAMES = st.from_regex(r"[a-z_:]{1,6}(_total|_created|_info|_count|)", fullmatch=True)
SAMPLES = st.builds(
    Sample,
    name=NAMES,
    kind=st.sampled_from(["counter", "gauge"]),
    help=st.text(max_size=8),
    labels=st.dictionaries(
        st.from_regex(r"[a-z_]{1,4}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        max_size=3,
    ),
    value=st.floats(allow_nan=False),
)


@given(st.lists(SAMPLES, max_size=12))
def test_whatever_is_given_an_independent_reader_reads_it_back(samples: list[Sample]) -> None:
    values = parsed(render(samples))
    left_out = values.pop(series(LEFT_OUT))
    assert len(values) + left_out == len(samples)
    given = {
        (
            f"{one.name.removesuffix('_total')}_total" if one.kind == "counter" else one.name,
            frozenset(one.labels.items()),
            one.value,
        )
        for one in samples
    }
    assert {(*key, value) for key, value in values.items()} <= given
