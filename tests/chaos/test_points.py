"""SIGKILL at every named point; the long form is ``python -m tests.chaos.points --times 20``."""

from pathlib import Path

import pytest

from tests.chaos.points import Point, points_of, tour
from tests.chaos.seam import find


@pytest.mark.parametrize("point", points_of("sqlite") + points_of("postgres"), ids=lambda p: p.name)
def test_every_point_is_where_it_is_said_to_be(point: Point) -> None:
    find(point.target)


@pytest.mark.timeout(600)
def test_death_at_every_point_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    found = tour(tmp_path, "sqlite-append", points_of("sqlite"))
    assert found.verdict.clean, found
    assert found.exit_code == 0


@pytest.mark.timeout(600)
def test_death_around_a_commit_of_postgres_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path,
) -> None:
    around = [
        point
        for point in points_of("postgres")
        if point.sink or point.name.startswith(("write", "offer", "delivered", "outbox", "sink"))
    ]
    found = tour(tmp_path, "postgres-append", around)
    assert found.verdict.clean, found
    assert found.exit_code == 0
