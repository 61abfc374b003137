"""What a pipeline starts from when its newest checkpoint is damaged.

Rule: nothing is lost or written twice in silence. An older generation is taken by itself only
where rows that were written since may be written again: every sink that got some overwrites them
or is at-least-once anyway. Otherwise the pipeline does not start, and says what can be chosen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from edgestream.clock import SECOND, Clock
from edgestream.errors import EXIT_CONFIG, DamagedState, StoreError
from edgestream.graph import Graph
from edgestream.store.checkpoints import Resume
from edgestream.store.spool import LATE
from edgestream.store.store import Store

Choice: TypeAlias = Literal["older", "log-start", "now"]
CHOICES = {
    "older": "go on from an older checkpoint, although rows written since may be there twice",
    "log-start": "without state, from the oldest input in the journal: windows it cuts are short",
    "now": "without state, from new input on",
}


class Unfit:
    """Checkpoints that are whole, but that no graph of this pipeline can go on from."""

    def __init__(self, restore: Callable[[Resume], None]) -> None:
        """Found out by ``restore``, which raises `DamagedState` and is without consequences."""
        self.why: dict[int, str] = {}
        self._restore = restore

    def is_so(self, resume: Resume) -> bool:
        """Whether a checkpoint is; then it is known."""
        try:
            self._restore(resume)
        except DamagedState as error:
            self.why[resume.generation] = str(error)
            return True
        return False


async def recovered(
    store: Store,
    graph: Graph,
    choice: Choice | None,
    clock: Clock,
    log: logging.Logger,
    unfit: Unfit,
) -> Resume:
    """The newest whole checkpoint, where it may be used; raises `StoreError` (78)."""
    resume = await store.load(unfit.why)
    if not resume.damaged:
        return resume
    while resume.generation and unfit.is_so(resume):  # before anything newer is dropped
        resume = await store.load(unfit.why)
    for what in resume.damaged:
        log.error("%s is damaged: %s", store.path, what)
    if choice in ("log-start", "now"):
        return await _start_over(store, graph, resume, choice, clock, log)
    if not resume.generation:
        raise _refusal(store, "no checkpoint in it is whole", ("log-start", "now"))
    ahead = sorted({name.removesuffix(LATE) for name in resume.ahead})
    twice = [name for name in ahead if name in graph.exits and not _may_repeat(graph, name)]
    if twice and choice != "older":
        what = f"rows for {', '.join(twice)} that were made since could be there twice"
        raise _refusal(store, f"its newest checkpoint is damaged, and {what}", tuple(CHOICES))
    log.warning(
        "went back to checkpoint %d of %s: all input since then is processed again%s",
        resume.generation,
        datetime.fromtimestamp(resume.at // SECOND, UTC).isoformat(),
        f"; rows for {', '.join(ahead)} may be written again" * bool(ahead),
    )
    return await store.go_back(resume)


def _may_repeat(graph: Graph, sink: str) -> bool:
    exit_ = graph.exits[sink]
    return exit_.component.delivery == "at_least_once" or exit_.component.overwrites(exit_.keys)


async def _start_over(
    store: Store, graph: Graph, resume: Resume, choice: Choice, clock: Clock, log: logging.Logger
) -> Resume:
    """Without any state; what waits for sinks is still delivered."""
    log.warning("starting %s as asked with --recover: %s", choice, CHOICES[choice])
    positions = {}
    if choice == "now":
        positions = {
            name: {"seq": resume.last_seq}
            for name, entry in graph.entries.items()
            if not entry.component.replayable
        }
    return await store.start_over(positions, clock.wall())


def _refusal(store: Store, what: str, choices: tuple[str, ...]) -> StoreError:
    ways = "; ".join(f"--recover {name} ({CHOICES[name]})" for name in choices)
    refused = StoreError(f"{store.path}: {what}. Start with {ways}; or --fresh")
    refused.exit_code = EXIT_CONFIG
    return refused
