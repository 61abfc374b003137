"""The kinds of the operator ``window``: what makes each, and which settings go together.

A new kind is a file in `edgestream.window`, a field of the operator, and its lines here. A kind is
imported when a pipeline has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgestream.aggregate.pool import Pool
from edgestream.config.values import Nanos, nanos
from edgestream.errors import Problem
from edgestream.expr import expression
from edgestream.window.grid import Even, Grid
from edgestream.window.kind import Kind

if TYPE_CHECKING:
    from edgestream.operators.window import Window

KINDS = (
    "tumbling", "hopping", "calendar", "session", "sliding", "count", "opens", "closes", "global"
)  # fmt: skip
_ALIGNED = ("tumbling", "hopping", "calendar")
SETTINGS = {
    "every": ("hopping", "count"),
    "zone": ("calendar",),
    "max": ("session", "count", "opens", "closes"),
    "late": (*_ALIGNED, "session"),
    "emit_every": (*_ALIGNED, "session", "count", "opens", "closes", "global"),
    "emit_empty": _ALIGNED,
}
"""The kinds that a setting belongs to."""
_LENGTHS = ("tumbling", "hopping", "session", "sliding", "max", "emit_every")
_MICRO = 1000
"""``window_start`` is kept in microseconds; a length of less would make two of them equal."""


def setting(window: Window, name: str) -> Any:
    """What is given under a name; None for what is left out, off or empty."""
    return getattr(window, "global_" if name == "global" else name) or None


def given(window: Window) -> list[str]:
    """The kinds that are given."""
    absent = (None, False)
    values = {name: getattr(window, "global_" if name == "global" else name) for name in KINDS}
    return [name for name, value in values.items() if value not in absent]


def maker(window: Window, by_key: bool = False) -> Callable[[Pool], Kind]:
    """What makes the windows of the one kind that is given; keys may have own watermarks."""
    kind = given(window)[0]
    if kind in _ALIGNED:
        return _unaligned(window) if by_key else _aligned(window)
    if kind == "session":
        return _sessions(window)
    if kind == "count":
        return _counted(window)
    if kind == "sliding":
        from edgestream.window.sliding import Sliding  # noqa: PLC0415

        size = nanos(window.sliding or "0s")
        return lambda pool: Sliding(pool, size)
    if kind == "global":
        from edgestream.window.everything import Everything  # noqa: PLC0415

        return Everything
    return _between(window)


def _aligned(window: Window) -> Callable[[Pool], Kind]:
    from edgestream.window.aligned import Aligned  # noqa: PLC0415
    from edgestream.window.silent import Silent  # noqa: PLC0415

    grid, late, forget = _grid(window), nanos(window.late), _forget(window)
    return lambda pool: Aligned(pool, grid, late, None if forget is None else Silent(forget))


def _unaligned(window: Window) -> Callable[[Pool], Kind]:
    from edgestream.window.missing import Missing  # noqa: PLC0415
    from edgestream.window.unaligned import Unaligned  # noqa: PLC0415

    grid, late, forget = _grid(window), nanos(window.late), _forget(window)
    return lambda pool: Unaligned(pool, grid, late, None if forget is None else Missing(forget))


def _forget(window: Window) -> int | None:
    return nanos(window.forget) if window.emit_empty else None


def _sessions(window: Window) -> Callable[[Pool], Kind]:
    from edgestream.window.sessions import Sessions  # noqa: PLC0415

    gap, late = nanos(window.session or "0s"), nanos(window.late)
    most = _most(window)
    return lambda pool: Sessions(pool, gap, most, late)


def _counted(window: Window) -> Callable[[Pool], Kind]:
    from edgestream.window.counted import Counted  # noqa: PLC0415
    from edgestream.window.recounted import Recounted  # noqa: PLC0415

    count, every, most = window.count or 0, int(window.every or 0), _most(window)
    if every:
        return lambda pool: Recounted(pool, count, every)
    return lambda pool: Counted(pool, count, most)


def _between(window: Window) -> Callable[[Pool], Kind]:
    from edgestream.window.between import Between  # noqa: PLC0415

    opens, closes = (
        None if one is None else expression(one) for one in (window.opens, window.closes)
    )
    most = _most(window)
    return lambda pool: Between(pool, opens, closes, most)


def _most(window: Window) -> int:
    return nanos(window.max or "0s")


def problems(window: Window) -> Iterator[Problem]:
    """All that does not go together."""
    kinds = given(window)
    if not kinds:
        yield Problem("which windows? none is given", hint="give one of " + ", ".join(KINDS))
    others = [name for name in kinds[1:] if kinds[:2] != ["opens", "closes"] or name != "closes"]
    for other in others:
        yield Problem(f"{other} stands beside {kinds[0]}", (other,), "give only one of them")
    for name in _LENGTHS:
        value = getattr(window, name)
        if value is not None and (value == 0 or value % _MICRO):
            yield Problem(f"must be one or more whole microseconds, got {value}", (name,))
    for name, owners in SETTINGS.items():
        if setting(window, name) is not None and not set(owners) & set(kinds):
            yield _homeless(name, owners)
    yield from _every(window)
    yield from _bounds(window)
    yield from _emitting(window)
    if window.zone is not None:
        from edgestream.window.calendar import time_zone  # noqa: PLC0415

        try:
            time_zone(window.zone)
        except ValueError as error:
            hint = "write it as in Europe/Madrid; some systems need the package tzdata"
            yield Problem(str(error), ("zone",), hint)


def _homeless(name: str, owners: Sequence[str]) -> Problem:
    if name == "late":
        hint = "rows that come after the watermark leave by the port late"
        return Problem("late does not go with these windows", (name,), hint)
    listed = ", ".join(owners[:-1]) + " or " + owners[-1] if owners[1:] else owners[0]
    return Problem(f"{name} belongs to {listed}", (name,), f"give {listed} as well")


def _every(window: Window) -> Iterator[Problem]:
    """How far windows are apart: a length for hopping, rows for count."""
    every = window.every
    if window.hopping is not None:
        if every is None:
            hint = "write every: 5s, or tumbling if they do not overlap"
            yield Problem("hopping windows need every", ("hopping",), hint)
        elif not isinstance(every, Nanos):
            yield Problem("expected a duration such as 5s", ("every",))
        elif every == 0 or every % _MICRO:
            yield Problem(f"must be one or more whole microseconds, got {every}", ("every",))
        elif every > nanos(window.hopping):
            message = f"{every} is longer than the window of {window.hopping}"
            yield Problem(message, ("every",), "rows between two windows would be lost")
    elif window.count is not None and every is not None:
        if isinstance(every, Nanos) or int(every) < 1:
            yield Problem("expected a number of rows such as 10", ("every",))
        elif int(every) > window.count:
            message = f"{every} rows are more than the window of {window.count}"
            yield Problem(message, ("every",), "rows between two windows would be lost")
        for name in ("max", "emit_every"):
            if getattr(window, name) is not None:
                yield Problem(f"{name} does not go with every", (name,), "leave one of them out")


def _bounds(window: Window) -> Iterator[Problem]:
    most, gap = window.max, window.session
    if gap is not None and most is not None and nanos(most) < nanos(gap):
        yield Problem(f"{most} is shorter than the gap of {gap}", ("max",))


def _emitting(window: Window) -> Iterator[Problem]:
    every = window.emit_every
    if window.global_ and every is None:
        hint = "write emit_every: 1m"
        yield Problem("a global window never ends: it needs emit_every", ("global",), hint)
    for name in ("tumbling", "hopping"):
        size = getattr(window, name)
        if every is not None and size is not None and nanos(every) >= size:
            message = f"{every} is not shorter than the window of {size}"
            yield Problem(message, ("emit_every",), "it leaves by itself when it ends")


def described(window: Window) -> dict[str, str | None]:
    """What a snapshot is of, beside keys and aggregates: what gives its arrays their meaning."""
    found: dict[str, str | None] = {}
    for name in (*KINDS, "every", "max", "zone"):
        value = setting(window, name)
        if name in ("opens", "closes") and value is not None:
            value = expression(value).text
        found[name] = None if value is None else str(value)
    return found


def _grid(window: Window) -> Grid:
    if window.calendar is not None:
        from edgestream.window.calendar import Calendar, time_zone  # noqa: PLC0415

        return Calendar(window.calendar, time_zone(window.zone or "UTC"))
    if window.tumbling is not None:
        size = nanos(window.tumbling)
        return Even(size, size)
    assert window.hopping is not None
    return Even(nanos(window.hopping), int(window.every or 0))
