"""Some of the faults, in short; ``python -m tests.chaos.faults`` goes through all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.ahead import ahead
from tests.chaos.faults import FAULTS, Outcome

SHORT = ("F2.load", "F4.restart", "F6.cut", "F7", "F12", "F17.config", "F17.absent")


@pytest.fixture(scope="module")
def drives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Outcome]]]:
    yield from ahead(request, "name", lambda name: FAULTS[name](tmp_path_factory.mktemp(name)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHORT)
def test_a_fault_loses_nothing_and_counts_nothing_twice(
    drives: Mapping[str, Future[Outcome]], name: str
) -> None:
    found = drives[name].result()
    assert found.clean, found
