"""How long what is left will take: by the same run before, then by its case, then by its word."""

from __future__ import annotations

from benchmarks.progress import Progress, Step
from benchmarks.results import Machine, Measured
from benchmarks.runs import Run

HERE = Machine("", "", "", 2, "", 0.0)
STEPS = [
    Step("w1", "", "ours", 10),
    Step("w1", "", "a", 10),
    Step("w1", "", "ours", 10),
    Step("w2", "few", "ours", 60),
]


def test_a_case_is_believed_until_its_runs_are_seen():
    told = []
    progress = Progress(STEPS, {}, told.append)
    assert progress.left() == 90
    progress.start("w1", "", "ours")
    progress.done("w1", Run("ours", seconds=4))
    assert progress.left() == 4 + 4 + 60
    progress.start("w1", "", "a")
    progress.done("w1", Run("a", seconds=8))
    assert progress.left() == 4 + 60
    assert told == [
        "[1/4] w1 ours: about 10 s, then 1 min to go",
        "[2/4] w1 a: about 4 s, then 1 min to go",
    ]


def test_earlier_results_know_better():
    runs = (Run("ours", "few", seconds=30), Run("ours", "many", seconds=99))
    before = {"w2": Measured("", "", (), HERE, runs)}
    assert Progress(STEPS, before, print).left() == 60


def test_runs_that_are_left_out_are_no_longer_expected():
    told = []
    progress = Progress(STEPS, {}, told.append)
    progress.start("w2", "few", "ours")
    assert told == ["[4/4] w2 few ours: about 60 s, then 0 min to go"]


def test_a_run_that_failed_at_once_says_nothing_about_the_others():
    progress = Progress(STEPS, {}, lambda _: None)
    progress.start("w1", "", "ours")
    progress.done("w1", Run("ours", failed="absent", seconds=0))
    assert progress.left() == 10 + 0 + 60
