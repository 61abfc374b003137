"""The order of runs, ratios, tables, charts and the command line."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from benchmarks import chart, live, report
from benchmarks.__main__ import main
from benchmarks.cases import CASES, QUICK, Asked
from benchmarks.data import make
from benchmarks.live import Plan
from benchmarks.peers import build
from benchmarks.publisher import blocks
from benchmarks.runs import OURS, Run, paired, summaries


def test_ours_runs_between_every_two_others():
    ran = [run.engine for run in paired(["a", "b"], 2, Run)]
    assert ran == [OURS, "a", OURS, "b", OURS, "a", OURS, "b", OURS]


def test_alone_ours_runs_as_often_as_asked():
    assert [run.engine for run in paired([], 3, Run)] == [OURS] * 3


def test_a_peer_that_failed_needs_no_run_of_ours_after_it():
    ran = paired(["a", "b"], 1, lambda name: Run(name, failed="absent" if name == "a" else ""))
    assert [run.engine for run in ran] == [OURS, "a", "b", OURS]


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


def test_who_could_not_run_is_in_the_table_the_chart_and_the_file(tmp_path):
    case = CASES["w1"]
    figures = {"ns/event": 300.0, "wrong": 0.0}
    runs = [Run(OURS, figures=figures), Run("bytewax", failed="no <wheel>")]
    assert "bytewax not run: no <wheel>" in report.table(case, runs)
    picture = ElementTree.fromstring(chart.svg(CASES, {"w1": runs}))
    assert "bytewax not run: no <wheel>" in [text.text for text in picture.iter()]
    saved = json.loads(report.save(tmp_path, CASES, {"w1": runs}, 0.0).read_text())
    assert [one["failed"] for one in saved["cases"]["w1"]["summary"]] == ["", "no <wheel>"]


def test_quick_leaves_out_what_go_must_build():
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
