"""Power cuts, in short; the long form is ``python -m tests.chaos.power --histories 100000``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.ahead import ahead
from tests.chaos.power import MUTANTS, Report, run


@pytest.fixture(scope="module")
def drives(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Report]]]:
    def drive(mutant: str) -> Report:
        return run(200 if mutant else 1_000, mutant=mutant, processes=1)

    yield from ahead(request, "mutant", drive)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", [""], ids=["unmutated"])
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    drives: Mapping[str, Future[Report]], mutant: str
) -> None:
    report = drives[mutant].result()
    assert report.histories == 1_000
    assert report.violations == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mistake_that_only_a_power_cut_shows_is_seen(
    drives: Mapping[str, Future[Report]], mutant: str
) -> None:
    assert drives[mutant].result().violations
