"""Counting failures by a bug over restarts of pipeline and process, in the state file.

Rule: failures count together while they happen in the same place and follow each other closely; a
pipeline that fails elsewhere, or was well for a while, begins anew.
"""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path

from edgestream.clock import SECOND, Clock
from edgestream.errors import StoreError
from edgestream.store.store import Store

CLOSELY = 600 * SECOND
"""Kubernetes waits up to five minutes before it starts a failing pod again."""

INNERMOST = 3


async def noted(store: Store, error: Exception, clock: Clock) -> int:
    """Write down a failure; how often it happened in this place, one after the other."""
    try:
        return await store.crashed(place_of(error), clock.wall(), CLOSELY)
    except StoreError:
        return 1  # the state file failed as well, and says so itself


def place_of(error: Exception) -> str:
    """A fingerprint of an error: its kind, and the functions it was raised in.

    The innermost ones only: a row comes from the journal the second time, not from the source.
    """
    frames = traceback.extract_tb(error.__traceback__)[-INNERMOST:]
    way = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    text = " ".join([type(error).__qualname__, *way])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
