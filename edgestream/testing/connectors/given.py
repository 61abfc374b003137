"""What the kit gives to a component: a context, metrics in memory, rows of every kind."""

from __future__ import annotations

import inspect
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from edgestream.batch import Batch, Strings
from edgestream.clock import Clock, SystemClock
from edgestream.component import Context
from edgestream.errors import Disconnected

T = TypeVar("T")
Case = TypeVar("Case")
E = TypeVar("E", bound=Exception)
Maybe: TypeAlias = T | Awaitable[T]
"""What a callback may give: a value, or an awaitable of it."""

STORE = "kit"
FIRST = 1_700_000_000_000_000_000


class MemoryMetrics:
    """Counters and gauges kept in two dictionaries."""

    def __init__(self) -> None:
        """Start with none."""
        self.counts: dict[str, float] = defaultdict(float)
        self.gauges: dict[str, float] = {}

    def add(self, name: str, amount: float = 1) -> None:
        """Count up."""
        self.counts[name] += amount

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""
        self.gauges[name] = value


def context(
    id: str = "kit.step",  # noqa: A002
    clock: Clock | None = None,
    epoch: int = 0,
) -> Context:
    """A context as the runtime makes it: the machine's clock, a logger, metrics in memory."""
    log = logging.getLogger(f"edgestream.{id}")
    return Context(id, log, clock or SystemClock(), MemoryMetrics(), STORE if epoch else "", epoch)


def counts(ctx: Context) -> Mapping[str, float]:
    """What was counted in a context of `context`."""
    assert isinstance(ctx.metrics, MemoryMetrics)
    return ctx.metrics.counts


def batch(n: Sequence[int], *, keyed: bool = True, first: int = 0) -> Batch:
    """Rows as a window gives them: row i has device ``d<first + i>`` and the number ``n[i]``.

    All five kinds of column are there; every third reading is missing.
    """
    rows = len(n)
    numbers = np.asarray(n, np.int64)
    start = np.full(rows, FIRST // 1000, "datetime64[us]")
    average = np.where(numbers % 3 == 0, np.nan, numbers / 4)
    columns: dict[str, Any] = {
        "device": Strings.of([f"d{first + i}" for i in range(rows)]),
        "window_start": start,
        "n": numbers,
        "average": average,
        "ok": numbers % 2 == 0,
    }
    return Batch(
        columns, np.full(rows, FIRST, np.int64), ("device", "window_start") if keyed else ()
    )


class Closes(Protocol):
    """A source or a sink, as far as closing it goes."""

    async def close(self) -> None:
        """Release everything."""


async def given(value: Maybe[T]) -> T:
    """What a callback gave, awaited where it has to be."""
    return await cast("Awaitable[T]", value) if inspect.isawaitable(value) else value


async def run(behaviour: Callable[[Case, str], Awaitable[None]], case: Case) -> None:
    """Run one behaviour in a place of its own; a failure carries its name and sentence."""
    name = getattr(behaviour, "__name__", "behaviour")
    try:
        await behaviour(case, f"kit_{name}")
    except Exception as error:
        error.add_note(f"behaviour {name}: {behaviour.__doc__}")
        raise


async def raised(call: Awaitable[object], kind: type[E]) -> E | None:
    """The error of this kind that a call raised, or None where it went well."""
    try:
        await call
    except kind as error:
        return error
    return None


async def refuses_to_open(component: Closes, opened: Awaitable[object]) -> None:
    """The open raises `Disconnected` with words, and the component can be closed."""
    try:
        error = await raised(opened, Disconnected)
    finally:
        await component.close()
    assert error is not None, "the open succeeded although the counterpart is not there"
    assert speaks(error), f"{str(error)!r} does not say what is missing and what to do"


def speaks(error: Exception) -> bool:
    """Whether an error says more than a word or two to the person who reads it."""
    return len(str(error).split()) >= 4
