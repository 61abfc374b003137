"""The aggregate functions there are, by name.

A new one is a class in the file of its family, and its name here. A family is imported when one of
its functions is first used: a pipeline uses a few.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping

from edgestream.aggregate.function import Function

FAMILIES = {
    "counts": ("count",),
    "truths": ("count_if", "any", "all"),
    "distinct": ("count_distinct",),
    "moments": ("sum", "mean", "stddev", "variance", "rms"),
    "extremes": ("min", "max"),
    "ends": ("first", "last"),
    "digest": ("quantile", "median", "p50", "p90", "p95", "p99"),
    "bins": ("histogram",),
    "frequent": ("mode", "top_k"),
    "chosen": ("argmin", "argmax"),
    "samples": ("collect", "fft_peak", "fft_amplitude"),
    "spans": ("delta",),
    "paths": ("rate", "integral", "time_weighted_mean", "zero_crossings"),
    "decayed": ("ewma",),
    "lines": ("slope", "intercept", "correlation"),
}
"""Modules of this package with the functions in each."""
_FAMILY = {name: family for family, names in FAMILIES.items() for name in names}


@functools.cache
def members(family: str) -> Mapping[str, Function]:
    """The functions that a module defines."""
    module = importlib.import_module(f"edgestream.aggregate.{family}")
    return {
        made.name: made()
        for made in vars(module).values()
        if isinstance(made, type)
        and issubclass(made, Function)
        and made.__module__ == module.__name__
    }


class _Functions(Mapping[str, Function]):
    """All of them, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Function:
        return members(_FAMILY[name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_FAMILY)

    def __len__(self) -> int:
        return len(_FAMILY)


FUNCTIONS: Mapping[str, Function] = _Functions()
