"""How many values a payload may be made of, where each is made in Python before it is known to fit.

An empty map is a byte in a payload and 64 bytes once it is a dict: what is looked at value by value
is counted first.
"""

from __future__ import annotations

from typing import Any

MAX_VALUES = 65_536
"""A payload of no more bytes than this holds no more values, and need not be counted."""


def refuse_many(value: Any) -> None:
    """Raise ValueError where lists and maps hold more than `MAX_VALUES` values together."""
    left, count = [value], 0
    while left:
        inner = left.pop()
        if isinstance(inner, dict):
            inner = inner.values()
        elif not isinstance(inner, list):
            continue
        count += len(inner)
        if count > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values in one payload")
        left += inner
