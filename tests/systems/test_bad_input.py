"""What docs/bad-input.md says of bad input is so."""

import math
import re

import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.cli.load import load_spec
from edgestream.clock import SECOND
from edgestream.operators.window import Window
from edgestream.testing.scenarios import run_scenario
from edgestream.testing.scenarios.show import lines
from tests.source_tree import ROOT

SPEC = load_spec(ROOT / "tests" / "systems" / "bad_input.yaml", ())
PAGE = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("scenario", SPEC.tests, ids=lambda scenario: scenario.name)
def test_it_is_as_the_page_says(scenario) -> None:
    outcome = run_scenario(SPEC, scenario)
    assert outcome.ok, "\n".join(lines(outcome))


def test_every_test_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.(?:py|yaml))(?:::(\w+))?`", PAGE)
    assert len(named) > 5
    for path, test in named:
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8") if test else True
        assert (ROOT / path).is_file()


def test_infinities_stay_in_minimum_and_maximum_and_make_means_infinite() -> None:
    step = Window(
        tumbling="10s",
        by="device",
        aggregate={"low": "min(x)", "high": "max(x)", "mean": "mean(x)", "sd": "stddev(x)"},
    )
    x = np.array([math.inf, 1.0, 2.0, -math.inf, math.inf])
    batch = Batch({"device": Strings.of(["a", "a", "b", "c", "c"]), "x": x}, np.zeros(5, np.int64))
    step.process(batch)
    ((_, out),) = step.advance(10 * SECOND)
    rows = {row["device"]: row for row in out.rows()}
    assert (rows["a"]["low"], rows["a"]["high"], rows["a"]["mean"]) == (1, math.inf, math.inf)
    assert (rows["b"]["mean"], rows["c"]["low"], rows["c"]["high"]) == (2, -math.inf, math.inf)
    assert rows["c"]["mean"] is None
    assert rows["a"]["sd"] is None


def test_an_empty_batch_changes_nothing() -> None:
    step = Window(tumbling="10s", by="device", aggregate={"n": "count()"})
    empty = Batch({"device": Strings.of([])}, np.zeros(0, np.int64))
    assert [len(batch) for _, batch in step.process(empty)] == []
    assert list(step.advance(10 * SECOND)) == []


def test_a_window_that_never_closes_holds_one_state_a_key() -> None:
    step = Window(session="1h", by="device", aggregate={"n": "count()"})
    sizes = []
    for begin in range(0, 400_000, 1_000):
        times = (begin + np.arange(1_000)) * SECOND
        step.process(Batch({"device": Strings.of(["a"] * 1_000)}, times))
        assert list(step.advance(int(times[-1]))) == []
        sizes.append(step.state_bytes())
    assert max(sizes[200:]) == max(sizes[8:200])
