"""The pieces that pictures are made of: text, bars and lines on a card of its own colour.

A page may be light or dark, and a picture in it cannot know: so it brings its background with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

WIDTH = 900
_STYLE = """
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933;
  paint-order: stroke; stroke: #fbfcfd; stroke-width: 4px; stroke-linejoin: round }
.head { font-size: 18px; font-weight: 700 } .title { font-weight: 700 }
.small { font-size: 12px; fill: #52606d } .bad { font-size: 12px; fill: #b42318; font-weight: 700 }
.ours { fill: #0b7a75 } .more { fill: #8595a8 } .less { fill: #d9862b }
.cut { stroke: #fbfcfd; stroke-width: 2.5 }
.grid { stroke: #dde3ea } .one { stroke: #0b7a75; stroke-width: 2 }
"""


class Picture:
    """Pieces from top to bottom; ``y`` is where the next one goes."""

    def __init__(self) -> None:
        """Nothing drawn yet."""
        self.y = 16.0
        self._under: list[str] = []
        self._parts: list[str] = []

    def text(self, x: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Text on the present line."""
        self._parts.append(_text(x, self.y, escape(text), kind, anchor))

    def spans(self, x: float, *spans: tuple[str, str]) -> None:
        """Texts one behind the other, each with its kind; empty ones are left out."""
        inner = "".join(
            f'<tspan class="{kind}" dx="{7 if number else 0}">{escape(text)}</tspan>'
            for number, (text, kind) in enumerate(spans)
            if text
        )
        self._parts.append(_text(x, self.y, inner, "", "start"))

    def bar(self, start: float, end: float, kind: str) -> None:
        """A bar on the present line, at least a pixel wide."""
        x, width = min(start, end), max(1.0, abs(end - start))
        self._parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{self.y - 11:.0f}" width="{width:.1f}" '
            'height="13" rx="1.5"/>'
        )

    def cut(self, x: float) -> None:
        """The mark of a bar on the present line that is longer than it is drawn."""
        for at in (x, x + 6):
            self._parts.append(
                f'<line class="cut" x1="{at}" x2="{at + 5}" '
                f'y1="{self.y + 4:.0f}" y2="{self.y - 13:.0f}"/>'
            )

    def line(self, x: float, top: float, kind: str) -> None:
        """A line from ``top`` down to the present line, behind everything."""
        self._under.append(
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{self.y:.0f}"/>'
        )

    def svg(self, name: str) -> str:
        """The whole picture; ``name`` is what a screen reader says."""
        height = round(self.y + 12)
        start = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-label={quoteattr(name)}>'
        )
        card = (
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" '
            'fill="#fbfcfd" stroke="#cbd2d9"/>'
        )
        whole = [start, f"<style>{_STYLE}</style>", card, *self._under, *self._parts, "</svg>"]
        return "\n".join(whole) + "\n"


def legend(picture: Picture, entries: Sequence[tuple[str, str]]) -> None:
    """Bars with what they mean, on one line."""
    x = 20.0
    for kind, meaning in entries:
        picture.bar(x, x + 22, kind)
        picture.text(x + 28, meaning, "small")
        x += 28 + 6.6 * len(meaning) + 22


def _text(x: float, y: float, inner: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{inner}</text>'
