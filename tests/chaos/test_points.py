"""SIGKILL at every named point; the long form is ``python -m tests.chaos.points --times 20``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.ahead import ahead
from tests.chaos.points import Point, Tour, points_of, tour
from tests.chaos.seam import find

AROUND = [
    point
    for point in points_of("postgres")
    if point.sink or point.name.startswith(("write", "offer", "delivered", "outbox", "sink"))
]
STREAMS = 3
"""So many streams share the points of SQLite."""
TOURS = {
    f"sqlite-{number}": ("sqlite-append", points_of("sqlite")[number::STREAMS])
    for number in range(STREAMS)
} | {"postgres": ("postgres-append", AROUND)}


@pytest.fixture(scope="module")
def drives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Tour]]]:
    yield from ahead(
        request, "name", lambda name: tour(tmp_path_factory.mktemp(name), *TOURS[name])
    )


@pytest.mark.parametrize("point", points_of("sqlite") + points_of("postgres"), ids=lambda p: p.name)
def test_every_point_is_where_it_is_said_to_be(point: Point) -> None:
    find(point.target)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TOURS)
def test_death_at_every_point_loses_nothing_and_counts_nothing_twice(
    drives: Mapping[str, Future[Tour]], name: str
) -> None:
    found = drives[name].result()
    assert found.verdict.clean, found
    assert found.exit_code == 0


def test_every_point_belongs_to_a_tour() -> None:
    visited = [point for _, points in TOURS.values() for point in points]
    assert set(visited) == {*points_of("sqlite"), *points_of("postgres")}
