"""OpenMetrics text: what a worker counts, as Prometheus and its kin read it.

The page of metrics never fails and never grows without bound: a series that is above the
limit, given twice or not expressible is left out, and the number left out is a series itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SERIES_LIMIT = 2_000
LEFT_OUT = "edgestream_metrics_left_out"

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
# A family whose name ends like this could be taken for a part of another family.
_RESERVED = ("_total", "_created", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its value; a counter's name may end in ``_total`` or not."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class _Family:
    kind: str
    help: str
    lines: list[str]


def render(samples: Iterable[Sample], limit: int = SERIES_LIMIT) -> str:
    """All samples as one OpenMetrics text of at most ``limit`` series, grouped by name."""
    families: dict[str, _Family] = {}
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    left_out = 0
    for sample in samples:
        name = sample.name.removesuffix("_total") if sample.kind == "counter" else sample.name
        series = (name, frozenset(sample.labels.items()))
        family = families.get(name)
        if len(seen) >= limit or series in seen or not _can_be_written(name, sample, family):
            left_out += 1
            continue
        if family is None:
            family = families[name] = _Family(sample.kind, sample.help, [])
        seen.add(series)
        family.lines.append(_line(name, sample))
    families[LEFT_OUT] = _Family(
        "gauge",
        "Series missing from this page: above the limit, given twice or not expressible.",
        [f"{LEFT_OUT} {left_out}"],
    )
    return "".join(_family(name, family) for name, family in families.items()) + "# EOF\n"


def _can_be_written(name: str, sample: Sample, family: _Family | None) -> bool:
    if family is None:
        if _NAME.fullmatch(name) is None or name.endswith(_RESERVED) or name == LEFT_OUT:
            return False
    elif family.kind != sample.kind:
        return False
    # A counter starts at zero and only grows.
    if sample.kind == "counter" and not 0 <= sample.value < math.inf:
        return False
    return all(_LABEL.fullmatch(label) is not None for label in sample.labels)


def _family(name: str, family: _Family) -> str:
    head = f"# HELP {name} {family.help.translate(_ESCAPES)}\n# TYPE {name} {family.kind}\n"
    return head + "".join(line + "\n" for line in family.lines)


def _line(name: str, sample: Sample) -> str:
    suffix = "_total" if sample.kind == "counter" else ""
    pairs = ",".join(
        f'{label}="{text.translate(_ESCAPES)}"' for label, text in sorted(sample.labels.items())
    )
    return f"{name}{suffix}{f'{{{pairs}}}' if pairs else ''} {_number(sample.value)}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    # A large count must not lose its last digits to the float notation.
    return str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(float(value))
