"""Results are merged by case, and the tables, the page and the pictures show all of them."""

from __future__ import annotations

import json
from contextlib import nullcontext
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as command
from benchmarks import chart, page, report, results
from benchmarks.cases import Case, Part
from benchmarks.results import Machine, Measured, Unreadable
from benchmarks.runs import OURS, Run
from benchmarks.suites import results as suites
from benchmarks.suites.results import Result

HERE = Machine("2026-12-01 02:00 UTC", "abc1234", "Some CPU", 2, "3.11.7", 0.1)
NAMES = ["first", "second", "third"]


def measured(*runs, title="windows", metric="ns/event", shown=("lost", "wrong")):
    return Measured(title, metric, shown, HERE, runs)


def run(engine, value, variant="", failed="", **figures):
    return Run(engine, variant, {} if failed else {"ns/event": value, **figures}, "", failed, 2.5)


CASE = measured(
    run(OURS, 100.0, lost=0.0, wrong=0.0),
    run("slow", 1_234.0, lost=7.0, wrong=2.0),
    run(OURS, 100.0, lost=0.0, wrong=0.0),
    run("quick", 50.0, lost=0.0, wrong=0.0),
    run(OURS, 100.0, lost=0.0, wrong=0.0),
    run("gone", 0.0, failed="no <wheel>"),
)
GROWTH = measured(
    *(run(OURS, value, keys) for keys, value in (("10 keys", 90.0), ("1,000 keys", 120.0)))
)


def words(picture):
    return [
        text for element in ElementTree.fromstring(picture).iter() for text in element.itertext()
    ]


def test_a_case_that_is_run_again_replaces_its_own_results_only(tmp_path):
    path = tmp_path / "results" / "2026-12-01.json"
    results.merge(path, "third", CASE, NAMES)
    results.merge(path, "first", CASE, NAMES)
    again = measured(run(OURS, 1.0), run("slow", 5.0), run(OURS, 1.0))
    results.merge(path, "third", again, NAMES)
    assert results.load(path) == {"first": CASE, "third": again}
    assert list(results.load(path)) == ["first", "third"]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_case_that_no_longer_exists_stays_behind_the_others(tmp_path):
    path = tmp_path / "2026-12-01.json"
    results.merge(path, "old", CASE, NAMES)
    assert list(results.merge(path, "second", CASE, NAMES)) == ["second", "old"]


def test_the_file_holds_the_summary_too(tmp_path):
    path = tmp_path / "2026-12-01.json"
    results.merge(path, "first", CASE, NAMES)
    case = json.loads(path.read_text())["cases"]["first"]
    assert [one["ratio"] for one in case["summary"]] == [None, 12.34, 0.5, None]
    assert case["machine"]["commit"] == "abc1234"


@pytest.mark.parametrize("text", ["{", "[]", '{"cases": {"first": {}}}', '{"cases": 3}'])
@pytest.mark.parametrize("load", [results.load, suites.load])
def test_a_file_that_holds_something_else_is_refused_and_kept(tmp_path, text, load):
    path = tmp_path / "2026-12-01.json"
    path.write_text(text)
    with pytest.raises(Unreadable, match=r"2026-12-01\.json holds no results"):
        load(path)
    assert path.read_text() == text


def test_the_table_has_medians_ratios_and_who_is_absent():
    text = report.text("w1", CASE)
    lines = [line.split() for line in text.splitlines()]
    assert ["slow", "1,234", "7", "2", "12.3", "1"] in lines
    assert ["quick", "50", "0", "0", "0.50", "1"] in lines
    assert "gone not run: no <wheel>" in text
    markdown = report.table(CASE).markdown().splitlines()
    assert markdown[1] == "| --- | --: | --: | --: | --: | --: | --- |"
    assert "| slow | 1,234 | 7 | 2 | 12.3 | 1 |  |" in markdown


def test_a_case_of_ours_alone_has_no_column_for_ratios():
    assert "× ours" not in report.table(GROWTH).head
    assert "× ours" in report.table(CASE).head


def test_the_ratios_are_drawn_on_one_logarithmic_scale():
    picture = chart.ratios({"w1": CASE, "growth": GROWTH}, "2026-12-01")
    shown = words(picture)
    assert {"× 12.3", "× 0.50", "lost 7, wrong 2", "gone not run: no <wheel> (w1)"} <= set(shown)
    assert not any("growth" in text for text in shown)
    bars = {
        bar.get("class"): float(bar.get("width"))
        for bar in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect")
        if float(bar.get("x")) > 100 and float(bar.get("width")) > 22
    }
    # log10(12.34) is 1.09, log10(0.5) is -0.30
    assert bars["more"] / bars["less"] == pytest.approx(1.0913 / 0.3010, rel=0.01)


def test_figures_by_variant_are_drawn_to_the_scale_of_their_case():
    picture = chart.figures({"w1": CASE, "growth": GROWTH}, "2026-12-01")
    shown = words(picture)
    assert {"10 keys", "1,000 keys", "edgestream", "90", "120"} <= set(shown)
    assert not any("w1" in text for text in shown)


def test_a_bar_far_longer_than_the_others_is_cut():
    def cuts(value):
        case = measured(run(OURS, 10.0, "few"), run(OURS, 10.0, "more"), run("slow", value, "more"))
        return chart.figures({"growth": case}, "2026-12-01").count('class="cut"')

    assert (cuts(80.0), cuts(81.0)) == (0, 2)


def test_what_could_not_be_run_is_told_once_with_its_cases():
    cases = {"w1": CASE, "growth": GROWTH, "w2": CASE}
    assert report.absences(cases) == ["gone not run: no <wheel> (w1, w2)"]


def test_the_page_shows_the_newest_day_and_both_pictures(tmp_path):
    results.merge(tmp_path / "2026-11-30.json", "old", CASE, NAMES)
    results.merge(tmp_path / "2026-12-01.json", "first", CASE, NAMES)
    page.write(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "### first" in text
    assert "### old" not in text
    assert "Some CPU, 2 cores, Python 3.11.7, edgestream at `abc1234`" in text
    for picture in ("2026-12-01.svg", "2026-12-01-figures.svg"):
        assert f"({picture})" in text
        ElementTree.parse(tmp_path / picture)


def result(query, verdict):
    return Result("nexmark", query, "a | b", 1_000, 10, 55.4, "DuckDB", verdict, HERE)


def test_a_query_that_is_run_again_replaces_its_own_result_only(tmp_path):
    path = tmp_path / "suites-2026-12-01.json"
    names = [("nexmark", "q0"), ("nexmark", "q1")]
    suites.merge(path, [result("q1", "ok"), result("q0", "ok")], names)
    suites.merge(path, [result("q1", "DIFFERENT")], names)
    assert suites.load(path) == [result("q0", "ok"), result("q1", "DIFFERENT")]
    page.write(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "1 of 2 answers are right" in text
    assert "| nexmark | q1 | a / b | 1,000 | 10 | 55 | DuckDB | DIFFERENT |" in text


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two cases that run nothing; what has been run is in the list."""
    ran = []

    def opened():
        def one(engine):
            ran.append(engine)
            return run(engine, 10.0)

        return nullcontext(one)

    def parts(asked):
        return [Part("", ["peer"], asked.repetitions, opened)]

    cases = {name: Case(name, "title", "ns/event", (), ("peer",), parts) for name in ("one", "two")}
    monkeypatch.setattr(command, "CASES", cases)
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(results, "today", lambda: "2026-12-01")
    return ran


def test_a_run_can_be_made_in_parts(small, tmp_path, capsys):
    command.main(["two", "--save", "--repetitions", "1"])
    command.main(["--save", "--rest"])
    assert small == [OURS, "peer", OURS, *[OURS, "peer"] * 2, OURS]
    assert list(results.load(tmp_path / "2026-12-01.json")) == ["one", "two"]
    assert (tmp_path / "README.md").exists()
    assert "[5/5] one edgestream" in capsys.readouterr().err


def test_results_that_cannot_be_read_end_the_call_before_anything_runs(small, tmp_path):
    (tmp_path / "2026-12-01.json").write_text("{")
    with pytest.raises(SystemExit, match="holds no results"):
        command.main(["one", "--save"])
    assert small == []
