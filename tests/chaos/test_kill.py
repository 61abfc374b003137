"""The short form of the kill runs; the long form is ``python -m tests.chaos.kill --kills 1000``."""

import os
from pathlib import Path

import pytest

from tests.chaos.kill import Load, torture

KILLS = int(os.environ.get("EDGESTREAM_KILLS", "5"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("sink", "commit_delay"), [("sqlite", 0), ("sqlite-append", 20), ("postgres-append", 0)]
)
def test_kill_9_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, sink: str, commit_delay: float
) -> None:
    report = torture(tmp_path, Load(KILLS, sink, commit_delay=commit_delay))
    assert report.verdict.clean, report
    assert report.exit_code == 0
