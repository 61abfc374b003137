"""Several pipelines in one process: each supervised, signals, the HTTP endpoint, the exit code.

Rules: a pipeline that fails takes no other with it; one that fails by a bug is started again a few
times; the first SIGTERM or SIGINT stops gracefully inside the grace time, the second at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestream.clock import Clock, SystemClock
from edgestream.config.values import Secret
from edgestream.errors import EXIT_BUG, EXIT_OK, EdgestreamError
from edgestream.runtime.backoff import Backoff
from edgestream.runtime.recovery import Choice
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.spec import PipelineSpec

RESTARTS = 5
log = logging.getLogger("edgestream")


@dataclass(frozen=True, slots=True)
class Settings:
    """What belongs to the process, not to a pipeline."""

    folder: Path
    host: str = "127.0.0.1"
    port: int | None = None
    token: Secret | None = None
    grace: float = 25.0
    allowed: tuple[str, ...] = ()
    recover: Choice | None = None


class Worker:
    """Runs pipelines until they end or are told to stop."""

    def __init__(
        self, specs: Sequence[PipelineSpec], settings: Settings, clock: Clock | None = None
    ) -> None:
        """Build every graph; raises `ConfigError`."""
        self.url = ""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._stopping = False
        self.running = [self._make(spec) for spec in specs]

    def _make(self, spec: PipelineSpec) -> Running:
        given = self._settings
        return Running(spec, given.folder, self._clock, given.allowed, given.recover)

    async def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Run to the end; returns the exit code of the worst that happened."""
        server = None
        if self._settings.port is not None:
            from edgestream.web.server import start  # noqa: PLC0415 - costs memory when not wanted

            view = WorkerView(self.running, self._clock)
            server = await start(
                view, self._settings.host, self._settings.port, self._settings.token
            )
            self.url = server.url
        started()
        try:
            with self._signals():
                return await self.run_quietly()
        finally:
            if server is not None:
                await server.close()

    async def run_quietly(self) -> int:
        """Run without signals and endpoint, inside somebody else's loop."""
        codes = await asyncio.gather(
            *(self._supervise(index) for index in range(len(self.running)))
        )
        return max(codes, default=EXIT_OK)

    def stop(self) -> None:
        """Ask every pipeline for a graceful stop."""
        self._stopping = True
        for running in self.running:
            running.stop()

    async def _supervise(self, index: int) -> int:
        backoff = Backoff(self._clock)
        while True:
            running = self.running[index]
            try:
                await running.run(self._settings.grace)
            except EdgestreamError as error:
                for line in str(error).splitlines():
                    log.error("%s: %s", running.spec.name, line)
                return error.exit_code
            except Exception:
                log.exception("%s: stopped by a bug", running.spec.name)
                if backoff.failures >= RESTARTS or self._stopping:
                    return EXIT_BUG
                await backoff.wait()
                if self._stopping:
                    return EXIT_BUG
                self.running[index] = self._make(running.spec)
            else:
                return EXIT_OK

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def received(number: int) -> None:
            if self._stopping:
                os._exit(128 + number)
            log.info("stopping; a second signal leaves at once")
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, received, number)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
