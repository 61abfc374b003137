"""Rows that wait in a spool for longer than they may."""

from __future__ import annotations

from edgestream.clock import Clock
from edgestream.store.spool import Budget, Waiting

OFTEN = 10
"""So many looks at the clock while a row could get too old: each is a checkpoint."""


def too_old(waiting: Waiting, budget: Budget, now: int) -> bool:
    """Whether something waits for longer than it may."""
    return waiting.oldest is not None and 0 < budget.max_age < now - waiting.oldest


def overdue(waiting: Waiting, budget: Budget, clock: Clock, waited: int) -> bool:
    """Whether a cut is due only to drop such rows; the last one was ``waited`` ago."""
    due = budget.overflow != "pause" and waited * OFTEN >= budget.max_age
    return due and too_old(waiting, budget, clock.wall())
