"""The short form of the outage runs; the long form is ``python -m tests.chaos.outage``."""

from pathlib import Path

import pytest

from tests.chaos.outage import Load, suffer


@pytest.mark.timeout(300)
def test_a_sink_that_comes_back_misses_nothing_and_its_neighbour_notices_nothing(
    tmp_path: Path,
) -> None:
    report = suffer(tmp_path, Load(0.07, 1_500, before=1, after=1))
    assert report.clean, report
    # How many are warm goes by the hour of the day; the windows alone are more.
    assert report.replayed_rows > 100
    assert report.watched.spooled > 0
