"""Frozen workers for each kind of fence; ``python -m tests.chaos.zombie`` is the long form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.ahead import ahead
from tests.chaos.zombie import INSIDE, Report, Story, run

AWAY = {sink: (sink, Story()) for sink in ("sqlite", "postgres", "redis")}
WITHIN = {f"{sink}-inside": (sink, Story(inside=function)) for sink, function in INSIDE.items()}
GIVEN_UP = {"sqlite-given-up": ("sqlite", Story(inside=INSIDE["sqlite"], given_up=True))}
RUNS = AWAY | WITHIN | GIVEN_UP


@pytest.fixture(scope="module")
def drives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Report]]]:
    yield from ahead(request, "name", lambda name: run(tmp_path_factory.mktemp(name), *RUNS[name]))


@pytest.mark.server
@pytest.mark.parametrize("name", AWAY)
def test_a_worker_that_wakes_up_after_another_took_over_is_fenced(
    drives: Mapping[str, Future[Report]], name: str
) -> None:
    report = drives[name].result()
    assert report.passed, report
    assert report.sent > 0


@pytest.mark.server
@pytest.mark.parametrize("name", WITHIN)
def test_one_that_is_frozen_in_a_transaction_gives_way_as_it_wakes_up(
    drives: Mapping[str, Future[Report]], name: str
) -> None:
    report = drives[name].result()
    assert report.passed, report
    assert report.sent > 0


@pytest.mark.server
@pytest.mark.parametrize("name", GIVEN_UP)
def test_one_whose_successor_ended_while_it_waited_goes_on(
    drives: Mapping[str, Future[Report]], name: str
) -> None:
    report = drives[name].result()
    assert report.passed, report
    assert report.codes == [0]
