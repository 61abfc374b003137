"""One frozen worker for each kind of fence; ``python -m tests.chaos.zombie`` is the long form."""

from pathlib import Path

import pytest

from tests.chaos.zombie import run


@pytest.mark.server
@pytest.mark.parametrize("sink", ["sqlite", "postgres", "redis"])
def test_a_worker_that_wakes_up_after_another_took_over_is_fenced(
    tmp_path: Path, sink: str
) -> None:
    report = run(tmp_path, sink)
    assert report.codes == [75, 0]
    assert (report.lost, report.duplicated) == (0, 0)
    assert report.sent > 0
