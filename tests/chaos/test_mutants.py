"""The suite sees deliberate mistakes; the long form is ``python -m tests.chaos.mutants``.

The checks pass without the mistakes: `test_points` dies at all of their points.
"""

import pytest

from tests.chaos.mutants import MUTANTS, run


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in MUTANTS if not MUTANTS[name].long])
def test_a_mistake_in_delivery_is_seen(name: str) -> None:
    check = MUTANTS[name].check
    found = run(check, name, check.slow)
    assert found.caught, found
