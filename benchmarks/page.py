"""The page of the newest results, ``results/README.md``, with the pictures it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import chart, report, results
from benchmarks.report import Table
from benchmarks.results import Machine, Measured
from benchmarks.suites import results as suites
from benchmarks.suites.results import Result

_HEAD = """\
# Results

Written by `python -m benchmarks --save` and `python -m benchmarks.suites --save`. How it is
measured, and how each peer is set up, is in [the README of the benchmarks](../README.md).

`× ours` is how many times as much as the runs of edgestream just before and after it; above 1: it
costs more. Ratios can be compared between machines, figures cannot. Look at `lost` and `wrong`
first: a run that lost messages did less work than the others.
"""


def write(folder: Path) -> None:
    """Write the page and the pictures anew from the newest files of the folder."""
    day, suite = results.newest(folder, results.DAYS), results.newest(folder, suites.DAYS)
    cases = {} if day is None else results.load(day)
    text = [_HEAD]
    if day is not None:
        pictures = {day.stem: chart.ratios, f"{day.stem}-figures": chart.figures}
        for name, draw in pictures.items():
            results.replace(folder / f"{name}.svg", draw(cases, day.stem))
        text.append(_cases(cases, day, list(pictures)))
    if suite is not None:
        text.append(_suites(suites.load(suite), suite))
    results.replace(folder / "README.md", "\n".join(text))


def _cases(cases: Mapping[str, Measured], day: Path, pictures: Sequence[str]) -> str:
    machines = [case.machine for case in cases.values()]
    parts = [
        f"## Against the peers, {day.stem}\n",
        f"{_where(machines)} Every run is in [{day.name}]({day.name}).\n",
        *(f"{why}.\n" for why in report.absences(cases)),
        *(f"![Bars of the tables below]({name}.svg)\n" for name in pictures),
    ]
    for name, case in cases.items():
        parts += [f"### {name}\n", f"{case.title}\n", report.table(case).markdown() + "\n"]
        parts.append(f"<sub>{_when(case.machine)}</sub>\n")
    return "\n".join(parts)


def _suites(found: Sequence[Result], path: Path) -> str:
    right = sum(one.verdict == "ok" for one in found)
    lines = [
        [
            one.suite,
            one.query,
            one.title,
            f"{one.rows_in:,}",
            f"{one.rows_out:,}",
            f"{one.ns_per_event:,.0f}",
            one.by,
            one.verdict,
        ]
        for one in found
    ]
    head = ["suite", "query", "what", "rows in", "rows out", "ns/event", "held to", "answer"]
    table = Table(head, lines, frozenset({0, 1, 2, 6, 7}))
    parts = [
        f"## Standard suites, {path.stem.removeprefix('suites-')}\n",
        f"{right} of {len(found)} answers are right, every row compared. Each query is a pipeline, "
        "run as a worker runs it; how is in [the README of the suites](../suites/README.md).\n",
        f"{_where([one.machine for one in found])} [{path.name}]({path.name})\n",
        table.markdown() + "\n",
    ]
    return "\n".join(parts)


def _where(machines: Sequence[Machine]) -> str:
    found = dict.fromkeys(
        f"{one.processor}, {one.cores} cores, Python {one.python}, edgestream at `{one.commit}`"
        for one in machines
    )
    return "; ".join(found) + "."


def _when(machine: Machine) -> str:
    return f"{machine.when}, `{machine.commit}`, load before {machine.load:.1f}"
