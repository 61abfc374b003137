"""A table of each case, for a terminal and in Markdown: medians, and ratios to ours beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.results import Measured
from benchmarks.runs import OURS, Summary, summaries


@dataclass(frozen=True, slots=True)
class Table:
    """Lines of cells below a head; the columns of ``words`` are no numbers."""

    head: list[str]
    lines: list[list[str]]
    words: frozenset[int]

    def text(self) -> str:
        """In columns, two spaces apart."""
        rows = [self.head, *self.lines]
        widths = [max(len(row[at]) for row in rows) for at in range(len(self.head))]
        made = []
        for row in rows:
            cells = [
                cell.ljust(width) if at in self.words else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            made.append(("  " + "  ".join(cells)).rstrip())
        return "\n".join(made)

    def markdown(self) -> str:
        """As a table of Markdown."""
        rule = ["---" if at in self.words else "--:" for at in range(len(self.head))]
        rows = [self.head, rule, *self.lines]
        return "\n".join(
            f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows
        )


def table(measured: Measured) -> Table:
    """A line an engine, and for each variant."""
    found = [one for one in summaries(measured.runs, measured.metric) if one.runs]
    names = [measured.metric, *measured.shown]
    variants = any(one.variant for one in found)
    against = any(one.engine != OURS for one in found)
    head = [*(["at"] if variants else []), "engine", *names]
    head += [*(["× ours"] if against else []), "runs", "note"]
    lines = []
    for one in found:
        start = [one.variant] if variants else []
        figures = [number(one.figures.get(name)) for name in names]
        ratio = [_times(one)] if against else []
        lines.append([*start, one.engine, *figures, *ratio, str(one.runs), one.note])
    words = frozenset({0, int(variants), len(head) - 1})
    return Table(head, lines, words)


def absent(measured: Measured) -> list[str]:
    """Which engines could not be run, and why."""
    found = summaries(measured.runs, measured.metric)
    return list(dict.fromkeys(f"{one.engine} not run: {one.failed}" for one in found if one.failed))


def absences(cases: Mapping[str, Measured]) -> list[str]:
    """Which engines could not be run, why, and in which cases; a line for each reason."""
    found: dict[str, list[str]] = {}
    for name, measured in cases.items():
        for why in absent(measured):
            found.setdefault(why.splitlines()[0], []).append(name)
    return [f"{why} ({', '.join(names)})" for why, names in found.items()]


def text(name: str, measured: Measured) -> str:
    """A case for a terminal."""
    lines = [f"{name}: {measured.title}", table(measured).text()]
    return "\n".join([*lines, *(f"  {why}" for why in absent(measured))])


def _times(one: Summary) -> str:
    if one.engine == OURS:
        return "1"
    return "–" if one.ratio is None else times(one.ratio)


def times(ratio: float) -> str:
    """A ratio, so that two digits of it are seen."""
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}" if ratio < 20 else f"{ratio:.0f}"


def number(value: float | None) -> str:
    """A figure, so that two digits of it are seen."""
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
