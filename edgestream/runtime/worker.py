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
MARGIN = 2.0
"""Seconds after the grace at which the process is left, whatever hangs."""
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
    accept: tuple[str, ...] = ()


class Worker:
    """Runs pipelines until they end or are told to stop."""

    def __init__(
        self, specs: Sequence[PipelineSpec], settings: Settings, clock: Clock | None = None
    ) -> None:
        """Build every graph; raises `ConfigError`."""
        self.url = ""
        self.settings = settings
        self.reloads = False
        """Whether somebody waits for `reload_asked`, so that SIGHUP does not stop it."""
        self.stays = False
        """Whether it waits for new pipelines when all have ended."""
        self._clock = clock or SystemClock()
        self._stopping = False
        self._replacing = 0
        self._work: dict[str, asyncio.Task[int]] = {}
        self._codes: dict[str, int] = {}
        self._news = asyncio.Event()
        self._asked = asyncio.Event()
        self.running = [self.make(spec) for spec in specs]

    def make(self, spec: PipelineSpec) -> Running:
        """A pipeline that does not run yet; raises `ConfigError`."""
        given = self.settings
        return Running(spec, given.folder, self._clock, given.allowed, given.recover, given.accept)

    async def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Run to the end; returns the exit code of the worst that happened."""
        server = None
        if self.settings.port is not None:
            from edgestream.web.server import start  # noqa: PLC0415 - costs memory when not wanted

            view = WorkerView(self.running, self._clock)
            server = await start(view, self.settings.host, self.settings.port, self.settings.token)
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
        for running in self.running:
            self._begin(running)
        try:
            while (
                any(not work.done() for work in self._work.values())
                or self._replacing
                or (self.stays and not self._stopping)
            ):
                self._news.clear()
                await self._news.wait()
        finally:
            for work in self._work.values():
                work.cancel()
            done = await asyncio.gather(*self._work.values(), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return max(self._codes.values(), default=EXIT_OK)

    def stop(self) -> None:
        """Ask every pipeline for a graceful stop."""
        self._stopping = True
        for running in self.running:
            running.stop()
        self._news.set()

    def add(self, new: Running, instead_of: Running | None = None) -> None:
        """Start one more pipeline, or one in the place of another that has ended."""
        if instead_of is None:
            self.running.append(new)
        else:
            self.running[self.running.index(instead_of)] = new
        self._begin(new)

    async def replace(self, old: Running, new: Running) -> None:
        """Stop a pipeline with a checkpoint and start another from it, unless all shall stop."""
        self._replacing += 1
        try:
            await self._end(old)
        finally:
            self._replacing -= 1
            self._news.set()
        if not self._stopping:
            self.add(new, instead_of=old)

    async def remove(self, old: Running) -> None:
        """Stop a pipeline with a checkpoint; it belongs to the worker no more."""
        await self._end(old)
        self.running.remove(old)
        self._codes.pop(old.spec.name, None)

    async def reload_asked(self, seconds: float | None) -> bool:
        """Wait for SIGHUP, at most so long; whether it came."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)
        asked = self._asked.is_set()
        self._asked.clear()
        return asked

    async def _end(self, old: Running) -> None:
        old.stop()
        await asyncio.wait([self._work[old.spec.name]])

    def _begin(self, running: Running) -> None:
        name = running.spec.name
        work = asyncio.create_task(self._supervise(running), name=f"supervise {name}")
        self._work[name] = work

        def ended(done: asyncio.Task[int]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._codes[name] = done.result()
            self._news.set()

        work.add_done_callback(ended)

    async def _supervise(self, running: Running) -> int:
        backoff = Backoff(self._clock)
        while True:
            try:
                await running.run(self.settings.grace)
            except EdgestreamError as error:
                for line in str(error).splitlines():
                    log.error("%s: %s", running.spec.name, line)
                return error.exit_code
            except Exception:
                log.exception("%s: stopped by a bug", running.spec.name)
                if running.quarantined(RESTARTS) or self._stopping:
                    return EXIT_BUG
                await backoff.wait()
                if self._stopping or running.stopping:
                    return EXIT_BUG
                again = self.make(running.spec)
                self.running[self.running.index(running)] = running = again
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
            loop.call_later(self.settings.grace + MARGIN, _leave, self.running)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, received, number)
        terminal = _has_terminal()

        def hung_up() -> None:
            """A request to read the files again, or the end of the terminal it was started on."""
            if self.reloads and not (terminal and not _has_terminal()):
                self._asked.set()
            else:
                received(signal.SIGHUP)

        loop.add_signal_handler(signal.SIGHUP, hung_up)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)


def _leave(pipelines: Sequence[Running]) -> None:
    """The grace is over, and something does not end: leave the process, which loses nothing."""
    hanging = [running for running in pipelines if running.state == "stopping"]
    for running in hanging:
        what = "its state is saved" if running.saved else "its last checkpoint is not written"
        log.error("%s: does not end in time; %s", running.spec.name, what)
    logging.shutdown()
    os._exit(EXIT_OK if all(running.saved for running in hanging) else EXIT_BUG)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
