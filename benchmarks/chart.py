"""The results as one picture: a panel a case with a scale of its own, a bar an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from benchmarks.cases import Case
from benchmarks.runs import OURS, Run, Summary, summaries

_WIDTH, _BAR, _LABEL, _LONGEST = 900, 20, 230, 470
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222 }
.title { font-weight: 600 } .value { fill: #555 } .bad { fill: #b00020 }
.ours { fill: #0b7a75 } .peer { fill: #b9c2c9 }
"""


def svg(cases: Mapping[str, Case], results: Mapping[str, Sequence[Run]]) -> str:
    """The whole picture."""
    parts: list[str] = []
    y = 10
    for name, runs in results.items():
        y = _panel(parts, y, cases[name], summaries(runs, cases[name].metric))
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}">'
    whole = [start, f"<style>{_STYLE}</style>", '<rect width="100%" height="100%" fill="#fff"/>']
    return "\n".join([*whole, *parts, "</svg>"]) + "\n"


def _panel(parts: list[str], y: int, case: Case, found: Sequence[Summary]) -> int:
    """Append a panel; where the next one begins."""
    title = f"{case.name}: {case.title}: {case.metric} (less is better)"
    parts.append(_text(10, y + 14, title, "title"))
    y += 24
    shown = [one for one in found if case.metric in one.figures]
    most = max((one.figures[case.metric] for one in shown), default=1.0) or 1.0
    for one in shown:
        value = one.figures[case.metric]
        length = max(1.0, value / most * _LONGEST)
        kind = "ours" if one.engine == OURS else "peer"
        parts.append(_text(_LABEL - 8, y + 15, f"{one.variant} {one.engine}".strip(), anchor="end"))
        parts.append(
            f'<rect class="{kind}" x="{_LABEL}" y="{y + 2}" width="{length:.1f}" height="16"/>'
        )
        parts.append(_text(_LABEL + length + 6, y + 15, _value(value, one), "value"))
        y += _BAR
    for why in dict.fromkeys(f"{one.engine} not run: {one.failed}" for one in found if one.failed):
        parts.append(_text(_LABEL, y + 15, why.splitlines()[0][:90], "bad"))
        y += _BAR
    return y + 16


def _value(value: float, one: Summary) -> str:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"
    if one.ratio is not None:
        text += f"  (× {one.ratio:.1f})"
    lost, wrong = one.figures.get("lost", 0), one.figures.get("wrong", 0)
    return text + (f"  lost {lost:,.0f}, wrong {wrong:,.0f}" if lost or wrong else "")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
