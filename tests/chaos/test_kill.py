"""The short form of the kill runs; the long form is ``python -m tests.chaos.kill``."""

import os
from pathlib import Path

import pytest

from tests.chaos.kill import Load, postgres_table, sqlite_table, torture
from tests.servers.postgres import Postgres

KILLS = int(os.environ.get("EDGESTREAM_KILLS", "5"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("commit_delay", [0, 20])
def test_kill_9_into_sqlite_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, commit_delay: float
) -> None:
    database = tmp_path / "out.db"
    report = torture(
        tmp_path,
        Load(KILLS, rate=3_000, commit_delay=commit_delay),
        f"sqlite: {{path: {database}, table: averages}}",
        lambda: sqlite_table(database),
    )
    assert report.verdict.clean, report
    assert report.exit_code == 0


@pytest.mark.timeout(600)
def test_kill_9_into_postgres_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    server = Postgres().start()
    try:
        report = torture(
            tmp_path,
            Load(KILLS, rate=3_000),
            f"postgres: {{url: '{server.url()}', table: averages}}",
            lambda: postgres_table(server.url()),
        )
    finally:
        server.remove()
    assert report.verdict.clean, report
    assert report.exit_code == 0
