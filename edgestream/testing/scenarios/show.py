"""How a test went, as text for people, JSON values, or JUnit XML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from edgestream.scenario import Row
from edgestream.testing.scenarios.cells import Cells
from edgestream.testing.scenarios.compare import Difference
from edgestream.testing.scenarios.judge import Outcome

MARK = "≠ "
"""Stands before a cell that differs."""
WIDEST = 60
"""More characters of one cell are not shown."""
MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Report:
    """One test of one file, and how it went."""

    file: str
    pipeline: str
    outcome: Outcome

    @property
    def name(self) -> str:
        """What the test shows."""
        return self.outcome.scenario.name


def lines(outcome: Outcome) -> Iterator[str]:
    """What went wrong, line by line."""
    for difference in outcome.differences:
        yield f"{difference.place}: {summary(difference)}"
        yield from (f"  {line}" for line in table(difference, outcome.cells))
    if outcome.error:
        yield "a step failed:"
        yield from (f"  {line}" for line in outcome.error.splitlines())
    if outcome.hint:
        yield outcome.hint


def summary(difference: Difference) -> str:
    """A difference in numbers."""
    if difference.note:
        return difference.note
    counts = [
        (len(difference.pairs), "differs", "differ"),
        (len(difference.missing), "missing", "missing"),
        (len(difference.unexpected), "unexpected", "unexpected"),
        (difference.equal, "as expected", "as expected"),
    ]
    told = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join(told)


def table(difference: Difference, cells: Cells) -> list[str]:
    """The rows that differ, aligned; a cell that differs is marked."""
    columns, like = _columns(difference)
    made: list[list[str]] = []
    for pair in difference.pairs:
        made.append(["expected", *_cells(pair.expected, columns, cells, like)])
        made.append(["got", *_cells(pair.got, columns, cells, like, pair.wrong)])
    for what, rows in (("missing", difference.missing), ("unexpected", difference.unexpected)):
        made += [[what, *_cells(row, columns, cells, like)] for row in rows]
    if not made:
        return []
    left_out = len(made) - MOST_ROWS
    aligned = _aligned([["", *columns], *made[:MOST_ROWS]])
    return aligned if left_out <= 0 else [*aligned, f"and {left_out} more"]


def _columns(difference: Difference) -> tuple[list[str], Row]:
    """The columns that are shown, and a value that was expected in each."""
    like: dict[str, Any] = {}
    expected = [*(pair.expected for pair in difference.pairs), *difference.missing]
    for row in expected:
        like = {**like, **{name: value for name, value in row.items() if name not in like}}
    if difference.unexpected and not expected:
        return list(dict.fromkeys(name for row in difference.unexpected for name in row)), like
    return list(like), like


def _cells(
    row: Row, columns: Sequence[str], cells: Cells, like: Row, wrong: frozenset[str] = frozenset()
) -> list[str]:
    texts = []
    for name in columns:
        text = cells.text(name, row[name], like.get(name)) if name in row else ""
        text = text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
        if name in wrong:
            text = MARK + (text if name in row else "null")
        texts.append(" ".join(text.split()))
    return texts


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def as_json(report: Report) -> dict[str, Any]:
    """A report as JSON values."""
    outcome = report.outcome
    return {
        "file": report.file,
        "pipeline": report.pipeline,
        "test": report.name,
        "ok": outcome.ok,
        "seconds": round(outcome.seconds, 6),
        "differences": [_difference(found, outcome.cells) for found in outcome.differences],
        "error": outcome.error,
        "hint": outcome.hint,
    }


def _difference(difference: Difference, cells: Cells) -> dict[str, Any]:
    def plain(row: Row) -> Mapping[str, Any]:
        known = str | int | float | bool | None
        return {
            name: value if isinstance(value, known) else cells.text(name, value)
            for name, value in row.items()
        }

    return {
        "place": difference.place,
        "summary": summary(difference),
        "as_expected": difference.equal,
        "differ": [
            {"expected": plain(p.expected), "got": plain(p.got), "columns": sorted(p.wrong)}
            for p in difference.pairs
        ],
        "missing": [plain(row) for row in difference.missing],
        "unexpected": [plain(row) for row in difference.unexpected],
    }


def as_junit(reports: Iterable[Report]) -> str:
    """All reports as one JUnit XML document: a suite a file."""
    root = ElementTree.Element("testsuites")
    suites: dict[str, list[Report]] = {}
    for report in reports:
        suites.setdefault(report.file, []).append(report)
    for file, inside in suites.items():
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=file,
            tests=str(len(inside)),
            failures=str(sum(bool(report.outcome.differences) for report in inside)),
            errors=str(sum(bool(report.outcome.error) for report in inside)),
            time=f"{sum(report.outcome.seconds for report in inside):.6f}",
        )
        for report in inside:
            _case(suite, report)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, report: Report) -> None:
    outcome = report.outcome
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=report.pipeline,
        name=report.name,
        file=report.file,
        time=f"{outcome.seconds:.6f}",
    )
    if not outcome.ok:
        what = "error" if outcome.error else "failure"
        told = [f"{found.place}: {summary(found)}" for found in outcome.differences]
        failure = ElementTree.SubElement(case, what, message="; ".join(told) or "a step failed")
        failure.text = _printable("\n".join(lines(outcome)))


def _printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)
