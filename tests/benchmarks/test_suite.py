"""The order of runs, ratios, and the command line."""

from __future__ import annotations

import pytest

from benchmarks import live
from benchmarks.__main__ import main
from benchmarks.cases import CASES, QUICK, Asked, codecs
from benchmarks.data import make
from benchmarks.formats import FORMATS
from benchmarks.live import Plan
from benchmarks.peers import build
from benchmarks.publisher import blocks
from benchmarks.runs import OURS, Run, order, paired, summaries


def test_ours_runs_between_every_two_others():
    ran = [run.engine for run in paired(order(["a", "b"], 2), Run)]
    assert ran == [OURS, "a", OURS, "b", OURS, "a", OURS, "b", OURS]


def test_alone_ours_runs_as_often_as_asked():
    assert [run.engine for run in paired(order([], 3), Run)] == [OURS] * 3


@pytest.mark.parametrize(("repetitions", "slow"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_slow_peers_run_in_half_of_the_repetitions(repetitions, slow):
    ran = order(["a", "slow"], repetitions, ["slow"])
    assert (ran.count("slow"), ran.count("a")) == (slow, repetitions)
    assert ran[::2] == [OURS] * (len(ran) // 2 + 1)
    assert Asked(repetitions=repetitions).half == slow


def test_a_peer_that_failed_needs_no_run_of_ours_after_it():
    def run(name):
        return Run(name, failed="absent" if name == "a" else "")

    ran = [run.engine for run in paired(order(["a", "b"], 1), run)]
    assert ran == [OURS, "a", "b", OURS]
    assert [run.engine for run in paired(order(["a"], 1), run)] == [OURS, "a", OURS]


def test_a_ratio_is_to_the_runs_just_before_and_after():
    figures = [(OURS, 1.0), ("a", 30.0), (OURS, 2.0), ("a", 30.0), (OURS, 4.0)]
    runs = [Run(engine, figures={"ns": figure}) for engine, figure in figures]
    ours, a = summaries(runs, "ns")
    assert (ours.ratio, ours.figures["ns"], ours.runs) == (None, 2.0, 3)
    assert (a.ratio, a.runs) == (15.0, 2)


def test_ratios_stay_within_a_variant():
    runs = [
        Run(OURS, "few", {"ns": 1.0}),
        Run("a", "few", {"ns": 3.0}),
        Run(OURS, "many", {"ns": 100.0}),
        Run("a", "many", {"ns": 50.0}),
    ]
    assert [one.ratio for one in summaries(runs, "ns")] == [None, 3.0, None, 0.5]


def test_quick_leaves_out_what_takes_long_to_begin():
    (part,) = CASES["w1"].parts(Asked(quick=True))
    assert "bytewax" in part.peers
    assert "pyflink" not in part.peers
    assert Asked(quick=True).choose(["telegraf", "node-red"], ["telegraf"]) == ["node-red"]
    asked = Asked(["telegraf"], quick=True)
    assert asked.choose(["telegraf", "node-red"], ["telegraf"]) == ["telegraf"]
    assert set(QUICK) <= set(CASES)


def test_the_command_line_lists_and_refuses(capsys):
    main(["--list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in CASES)
    with pytest.raises(SystemExit, match="no case 'w9'"):
        main(["w9"])
    with pytest.raises(SystemExit, match="no peer 'flink'"):
        main(["w1", "--peers", "flink"])
    for partly in (["--quick"], ["--peers", "telegraf"]):
        with pytest.raises(SystemExit, match="whole cases"):
            main(["w1", "--save", *partly])


def test_every_part_is_planned_before_it_runs():
    for case in CASES.values():
        parts = list(case.parts(Asked()))
        assert parts
        assert {name for part in parts for name in part.order()} == {OURS, *case.able}


def test_the_codecs_are_those_that_can_be_measured():
    assert tuple(FORMATS) == codecs.NAMES


def test_a_peer_that_is_not_there_is_missing_with_its_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESTREAM_PEERS", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build.Missing, match="Go"):
        build.build("telegraf")


def test_paced_messages_carry_the_time_at_which_they_are_due():
    plan = Plan("filter", 100, rate=1_000)
    data = plan.data(1_700_000_000.0)
    made = blocks(data, 0, plan.rate)
    assert [block.count for block in made] == [5] * 20
    for number, block in enumerate(made):
        stamps = data.ts[number * 5 : number * 5 + 5]
        assert set(stamps.tolist()) == {1_700_000_000_000 + round(block.due * 1000)}


def test_the_same_seed_gives_the_same_bytes():
    assert make(50, 5, 10).payloads() == make(50, 5, 10).payloads()


@pytest.mark.server
@pytest.mark.parametrize("task", ["window", "filter"])
def test_a_run_at_a_broker_finds_every_answer(task):
    run = live.run(Plan(task, 2_000, devices=50, size=1_000), OURS)
    assert run.failed == ""
    assert (run.figures["lost"], run.figures["wrong"]) == (0, 0)


@pytest.mark.server
def test_ours_journalled_stands_beside_ours():
    run = live.run(Plan("window", 2_000, devices=50, size=1_000), "edgestream-durable")
    assert run.failed == ""
    assert (run.figures["lost"], run.figures["wrong"]) == (0, 0)
    assert "journalled" in run.note
