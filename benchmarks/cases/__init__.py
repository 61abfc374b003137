"""The cases of the suite, by name."""

from __future__ import annotations

from benchmarks.cases import broker, codecs, memory
from benchmarks.cases.case import Asked, Case, Part

CASES = {case.name: case for case in (*memory.CASES, *codecs.CASES, *broker.CASES)}
QUICK = ("w1", "w2", "w3", "w4", "burst", "filter")

__all__ = ["CASES", "QUICK", "Asked", "Case", "Part"]
