"""One frozen worker for each kind of fence; ``python -m tests.chaos.zombie`` is the long form."""

from pathlib import Path

import pytest

from tests.chaos.zombie import INSIDE, Story, run


@pytest.mark.server
@pytest.mark.parametrize("sink", ["sqlite", "postgres", "redis"])
def test_a_worker_that_wakes_up_after_another_took_over_is_fenced(
    tmp_path: Path, sink: str
) -> None:
    report = run(tmp_path, sink, Story())
    assert report.passed, report
    assert report.sent > 0


@pytest.mark.server
@pytest.mark.parametrize("sink", INSIDE)
def test_one_that_is_frozen_in_a_transaction_gives_way_as_it_wakes_up(
    tmp_path: Path, sink: str
) -> None:
    report = run(tmp_path, sink, Story(inside=INSIDE[sink]))
    assert report.passed, report
    assert report.sent > 0


@pytest.mark.server
def test_one_whose_successor_ended_while_it_waited_goes_on(tmp_path: Path) -> None:
    report = run(tmp_path, "sqlite", Story(inside=INSIDE["sqlite"], given_up=True))
    assert report.passed, report
    assert report.codes == [0]
