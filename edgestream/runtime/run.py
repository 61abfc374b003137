"""Running one pipeline from Python: `run` blocks, `run_async` is awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgestream.clock import SystemClock
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec
from edgestream.store.store import state_dir as default_state_dir

if TYPE_CHECKING:
    from edgestream.building import Pipeline


async def run_async(
    spec: PipelineSpec, *, state_dir: str | None = None, allowed: Sequence[str] = ()
) -> None:
    """Run until cancelled (which stops gracefully) or until all sources have ended.

    ``allowed`` names the modules and packages whose functions ``use:`` may import.
    """
    folder = Path(state_dir) if state_dir else default_state_dir()
    running = Running(spec, folder, SystemClock(), allowed)
    work = asyncio.create_task(running.run(), name=f"run {spec.name}")
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        running.stop()
        await work
        raise


def run(
    pipeline: Pipeline | PipelineSpec,
    *,
    state_dir: str | None = None,
    allowed: Sequence[str] = (),
) -> None:
    """Run a pipeline and block; Ctrl-C stops it gracefully, and it returns.

    ``allowed`` names the modules and packages whose functions ``use:`` may import.
    """
    spec = pipeline if isinstance(pipeline, PipelineSpec) else pipeline.spec()
    with contextlib.suppress(KeyboardInterrupt):  # raised once everything is written
        asyncio.run(run_async(spec, state_dir=state_dir, allowed=allowed))
