"""The short form of the kill runs; the long form is ``python -m tests.chaos.kill --kills 1000``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.ahead import ahead
from tests.chaos.kill import Load, Report, torture

KILLS = int(os.environ.get("EDGESTREAM_KILLS", "7"))
LOADS = (
    Load(KILLS, "sqlite"),
    Load(KILLS, "sqlite-append", commit_delay=20),
    Load(KILLS, "postgres-append"),
)


@pytest.fixture(scope="module")
def drives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Load, Future[Report]]]:
    yield from ahead(request, "load", lambda load: torture(tmp_path_factory.mktemp("kill"), load))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load.sink}-{load.commit_delay}")
def test_kill_9_loses_nothing_and_counts_nothing_twice(
    drives: Mapping[Load, Future[Report]], load: Load
) -> None:
    report = drives[load].result()
    assert report.verdict.clean, report
    assert report.exit_code == 0
