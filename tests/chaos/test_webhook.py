"""P4 in short; ``python -m tests.chaos.webhook --kills 100 --parts 4`` is the long form."""

from pathlib import Path

import pytest

from tests.chaos.points import POINTS, Point, points_of
from tests.chaos.seam import find
from tests.chaos.webhook import torture, tour
from tests.chaos.webhook_faults import FAULTS

SHORT = (
    "answer.before",
    "file.restore.after",
    "file.spill.after",
    "file.commit.before",
    "file.replace.before",
    "file.replace.after",
    "file.flush.after",
)
OWN = [point for point in points_of("file", "http") if point.sink or point.source]


@pytest.mark.parametrize("point", OWN, ids=lambda point: point.name)
def test_every_point_is_where_it_is_said_to_be(point: Point) -> None:
    find(point.target)


@pytest.mark.timeout(300)
def test_requests_are_in_the_files_once_through_kill_9(tmp_path: Path) -> None:
    report = torture(tmp_path, 5, "ndjson.gz")
    assert report.verdict.clean, report
    assert report.requests >= 1_000
    assert report.again > report.requests / 25, "no kill met a request"


@pytest.mark.timeout(300)
def test_death_at_the_points_of_http_and_files_leaves_each_row_once(tmp_path: Path) -> None:
    report = tour(tmp_path, [POINTS[name] for name in SHORT], "csv", least=100)
    assert report.verdict.clean, report


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["P4.F5", "P4.F10"])
def test_a_fault_leaves_each_row_once(tmp_path: Path, name: str) -> None:
    found = FAULTS[name](tmp_path)
    assert found.clean, found
