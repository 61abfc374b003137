"""Writing a batch of which a sink may refuse rows: by name, or by halving until they are found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from edgestream.batch import Batch
from edgestream.errors import Rejected
from edgestream.halving import Halving


async def refused(batch: Batch, write: Callable[[Batch], Awaitable[None]]) -> dict[int, str]:
    """Write a batch in order; returns the rows that the sink will never take, with why.

    A sink that cannot name them took nothing of what it refused: each good row is taken once.
    """
    why, found = await _try(batch, write)
    if not why:
        return found
    search = Halving(len(batch), why)
    while (part := search.next()) is not None:
        why, named = await _try(batch.take(part), write)
        search.tell(why)
        found |= {part.start + row: reason for row, reason in named.items()}
    return {**found, **search.reasons}


async def _try(
    batch: Batch, write: Callable[[Batch], Awaitable[None]]
) -> tuple[str, dict[int, str]]:
    """Why none of the rows was taken, or the rows that were not."""
    try:
        await write(batch)
    except Rejected as error:
        return ("", error.reasons) if error.reasons else (str(error) or "no reason", {})
    return "", {}
