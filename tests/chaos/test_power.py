"""Power cuts, in short; the long form is ``python -m tests.chaos.power --histories 100000``."""

import pytest

from tests.chaos.power import MUTANTS, run


def test_a_power_cut_loses_nothing_that_was_acknowledged() -> None:
    report = run(1_000, processes=1)
    assert report.histories == 1_000
    assert report.violations == {}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_that_only_a_power_cut_shows_is_seen(name: str) -> None:
    assert run(200, mutant=name, processes=1).violations
