"""Processors: what is measured has one of its own, where there are several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pinned(number: int) -> Iterator[None]:
    """This thread, and children started meanwhile, run on one processor."""
    everywhere = os.sched_getaffinity(0)
    if len(everywhere) > 1:
        os.sched_setaffinity(0, {sorted(everywhere)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)
