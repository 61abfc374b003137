"""A progress bar on a terminal for pipelines whose sources end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Self

from edgestream.runtime.worker import Worker

WIDTH = 30


class Progress:
    """Redraws one line on standard error four times a second."""

    def __init__(self, worker: Worker) -> None:
        """Watch ``worker``; draws nothing where standard error is no terminal."""
        self._worker = worker
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty():
            self._task = asyncio.create_task(self._draw())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _draw(self) -> None:
        drawn = False
        try:
            while True:
                await asyncio.sleep(0.25)
                if line := self.line():
                    drawn = True
                    sys.stderr.write(f"\r\x1b[2K{line}")
                    sys.stderr.flush()
        finally:
            if drawn:
                sys.stderr.write(f"\r\x1b[2K{self.line()}\n")

    def line(self) -> str:
        """The bar as text, or nothing while no source is bounded."""
        done = whole = rows = 0
        for running in self._worker.running:
            for entry in running.graph.entries.values():
                total = entry.component.total()
                if total is not None:
                    done, whole = done + total[0], whole + total[1]
                    rows += entry.rows_out
        if whole <= 0:
            return ""
        part = min(1.0, done / whole)
        filled = round(part * WIDTH)
        return f"{'█' * filled}{'░' * (WIDTH - filled)} {part:4.0%}  {rows:,} rows"
