"""The suite sees deliberate mistakes; the long form is ``python -m tests.chaos.mutants``.

The checks pass without the mistakes: `test_points` dies at all of their points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.ahead import ahead
from tests.chaos.mutants import MUTANTS, Result, run

TRIES = 3
"""What a mistake does depends on who is faster: where the machine is busy, it may do nothing."""


@pytest.fixture(scope="module")
def drives(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Result]]]:
    yield from ahead(request, "name", attempt)


def attempt(name: str) -> Result:
    check = MUTANTS[name].check
    for _ in range(TRIES):
        found = run(check, name, check.slow)
        if found.caught:
            break
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in MUTANTS if not MUTANTS[name].long])
def test_a_mistake_in_delivery_is_seen(drives: Mapping[str, Future[Result]], name: str) -> None:
    found = drives[name].result()
    assert found.caught, found
