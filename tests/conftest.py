"""What holds for all tests.

Hypothesis draws the same examples in every run, so that a run says something about the change it
was made for. ``--hypothesis-profile=explore`` draws new ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("explore", derandomize=False)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command run inside a test sets up the log of the whole process: take that back."""
    log = logging.getLogger("edgestream")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = handlers, level, propagate
