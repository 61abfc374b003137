"""The results as two pictures: what others cost as a multiple of ours, and figures by variant.

Multiples are on a logarithmic scale that all cases share, so that bars of different cases can be
compared; figures have a scale of their own in each case.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.report import absences, number, times
from benchmarks.results import Measured
from benchmarks.runs import OURS, Summary, summaries
from benchmarks.svg import Picture, legend

_LABEL, _LONGEST, _LINE = 178, 500, 18
_VARIANTS, _LONGEST_FIGURE = 224, 390
_LONG = 130
#: a bar of more times the median is cut, so that the others can still be told apart
_CUT = 8


def ratios(cases: Mapping[str, Measured], date: str) -> str:
    """A panel a case without variants, with a bar a peer."""
    chosen = {name: found for name, found in _summaries(cases).items() if not _varies(found)}
    chosen = {
        name: [one for one in found if one.ratio is not None] for name, found in chosen.items()
    }
    chosen = {name: found for name, found in chosen.items() if found}
    scale = Scale.over([one.ratio for found in chosen.values() for one in found if one.ratio])
    marks = [
        ("ours", "edgestream = 1"),
        ("more", "costs more than edgestream"),
        ("less", "costs less"),
    ]
    title = "What the same work costs, as a multiple of edgestream"
    picture = _begun(title, cases, date, marks)
    picture.y += 24
    top = picture.y
    scale.label(picture)
    for name, found in chosen.items():
        picture.y += 28
        _title(picture, name, cases[name])
        for one in found:
            picture.y += _LINE
            _ratio(picture, one, scale, cases[name].metric)
    picture.y += 14
    scale.lines(picture, top + 6)
    picture.y += 14
    scale.label(picture)
    picture.y += 8
    _absent(picture, {name: cases[name] for name in chosen})
    return picture.svg(f"Cost of the same work as a multiple of edgestream's, {date}")


def figures(cases: Mapping[str, Measured], date: str) -> str:
    """A panel a case with variants, with a bar an engine and variant."""
    marks = [
        ("ours", "edgestream"),
        ("more", "others (× what edgestream takes); longer than drawn where cut"),
    ]
    title = "How cost and latency grow, and what formats and durability take"
    picture = _begun(title, cases, date, marks)
    chosen = {name: cases[name] for name, found in _summaries(cases).items() if _varies(found)}
    for name, case in chosen.items():
        picture.y += 30
        _title(picture, name, case)
        _panel(picture, summaries(case.runs, case.metric), case.metric)
    picture.y += 12
    _absent(picture, chosen)
    return picture.svg(f"Costs and latencies of edgestream and others by variant, {date}")


def _panel(picture: Picture, found: Sequence[Summary], metric: str) -> None:
    shown = [one for one in found if metric in one.figures]
    values = [one.figures[metric] for one in shown]
    most = min(max(values), _CUT * statistics.median(values)) or 1.0
    before = ""
    for one, value in zip(shown, values, strict=True):
        picture.y += _LINE if one.variant == before else _LINE + 4
        if one.variant != before or one.engine == OURS:
            picture.text(20, one.variant)
        before = one.variant
        picture.text(_VARIANTS - 8, one.engine, anchor="end")
        end = _VARIANTS + min(value / most, 1) * _LONGEST_FIGURE
        picture.bar(_VARIANTS, end, "ours" if one.engine == OURS else "more")
        if value > most:
            picture.cut(end - 30)
        ratio = "" if one.ratio is None else f"  (× {times(one.ratio)})"
        picture.spans(end + 6, (f"{number(value)}{ratio}", "small"), (_losses(one), "bad"))


class Scale:
    """A logarithmic scale over whole decades."""

    def __init__(self, low: int, high: int) -> None:
        """From 10 to the power of ``low`` to that of ``high``."""
        self._low, self._high = low, high

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        """The decades that hold all values, and 1."""
        logs = [0.0, *map(math.log10, values)]
        return cls(math.floor(min(logs)), max(1, math.ceil(max(logs))))

    def at(self, value: float) -> float:
        """Where a value is."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return _LABEL + share * _LONGEST

    def label(self, picture: Picture) -> None:
        """The numbers of the scale."""
        for decade in range(self._low, self._high + 1):
            picture.text(self.at(10.0**decade), f"× {10.0**decade:g}", "small", "middle")

    def lines(self, picture: Picture, top: float) -> None:
        """A line for each number, down to the present line."""
        for decade in range(self._low, self._high + 1):
            picture.line(self.at(10.0**decade), top, "grid" if decade else "one")


def _summaries(cases: Mapping[str, Measured]) -> dict[str, list[Summary]]:
    return {name: summaries(case.runs, case.metric) for name, case in cases.items()}


def _varies(found: Sequence[Summary]) -> bool:
    return any(one.variant for one in found)


def _begun(
    title: str, cases: Mapping[str, Measured], date: str, marks: Sequence[tuple[str, str]]
) -> Picture:
    """A picture with its title, where and when it was measured, and what its marks mean."""
    picture = Picture()
    picture.y += 14
    picture.text(20, title, "head")
    machines = dict.fromkeys(
        f"{one.machine.processor}, {one.machine.cores} cores, Python {one.machine.python}"
        for one in cases.values()
    )
    picture.y += 20
    picture.text(20, f"{date}, {'; '.join(machines)}", "small")
    picture.y += 17
    picture.text(
        20,
        "Same bytes, answers checked, ours run between every two others; medians. Less is better.",
        "small",
    )
    picture.y += 22
    legend(picture, marks)
    return picture


def _title(picture: Picture, name: str, case: Measured) -> None:
    picture.spans(20, (name, "title"), (case.title, ""), (f"[{case.metric}]", "small"))


def _ratio(picture: Picture, one: Summary, scale: Scale, metric: str) -> None:
    assert one.ratio is not None
    end = scale.at(one.ratio)
    picture.text(_LABEL - 8, one.engine, anchor="end")
    picture.bar(scale.at(1), end, "more" if one.ratio >= 1 else "less")
    beside = max(end, scale.at(1)) + 6
    value = f"{number(one.figures[metric])} {metric.partition('/')[0]}"
    ratio = f"× {times(one.ratio)}"
    picture.spans(beside, (ratio, "title"), (value, "small"), (_losses(one), "bad"))


def _losses(one: Summary) -> str:
    lost, wrong = one.figures.get("lost", 0), one.figures.get("wrong", 0)
    return f"lost {lost:,.0f}, wrong {wrong:,.0f}" if lost or wrong else ""


def _absent(picture: Picture, cases: Mapping[str, Measured]) -> None:
    for why in absences(cases):
        picture.y += _LINE
        picture.text(20, why if len(why) < _LONG else why[:_LONG] + "…", "small")
