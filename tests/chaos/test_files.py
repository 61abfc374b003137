"""Power cuts, refusals and damage under a file sink, in short; ``python -m tests.chaos.files``."""

import errno

import pytest

from tests.chaos.files import FORMATS, MUTANTS, caught, damages, refuse, run


def test_a_power_cut_loses_nothing_that_was_flushed_and_repeats_nothing() -> None:
    report = run(400, each=50)
    assert report.histories == 400
    assert report.violations == {}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_that_only_a_power_cut_shows_is_seen(name: str) -> None:
    assert caught(name)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_whichever_call_fails_each_row_is_there_once(code: int) -> None:
    for number in range(1, 200, 3):
        wrong = refuse(number, code)
        if wrong is None:
            break
        assert wrong == set(), number
    assert number > 60, "the workload asks more of the disk than that"


def test_no_damage_to_the_commit_is_silent() -> None:
    found = damages(150)
    kinds = {key.partition(":")[0] for key in found}
    assert {"commit, flip", "commit, shorter"} <= kinds
    assert kinds & {f"{name}, flip" for name in FORMATS}
    assert [key for key in found if key.startswith("commit") and "SILENT" in key] == []
    assert [key for key in found if "shorter" in key and "refused" not in key] == []
