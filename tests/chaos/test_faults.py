"""Some of the faults, in short; ``python -m tests.chaos.faults`` goes through all of them."""

from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS

SHORT = ("F2.load", "F4.restart", "F6.cut", "F7", "F12", "F17.config", "F17.absent")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHORT)
def test_a_fault_loses_nothing_and_counts_nothing_twice(tmp_path: Path, name: str) -> None:
    found = FAULTS[name](tmp_path)
    assert found.clean, found
