"""Keep-alive: a ping every half of the keep-alive time, and what silence after one means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgestream_connectors.mqtt.link import Link
from edgestream_connectors.mqtt.packets import PING


class Heartbeat:
    """Pings over a link and ends it when nothing comes back.

    Silence does not count while reading is blocked: the answer cannot be seen then. Pings go on,
    so that the server sees this side alive.
    """

    def __init__(self, link: Link, fail: Callable[[str], None]) -> None:
        """Ping over ``link``; ``fail`` takes why it is dead."""
        self._link = link
        self._fail = fail
        self._timer: asyncio.TimerHandle | None = None
        self._silent = False

    def start(self, keep_alive: float) -> None:
        """Ping twice in ``keep_alive`` seconds; 0 is off."""
        if keep_alive:
            self._next(keep_alive / 2)

    def heard(self) -> None:
        """Something came, or may have waited while reading was blocked."""
        self._silent = False

    def stop(self) -> None:
        """No more pings."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._beat, seconds)

    def _beat(self, seconds: float) -> None:
        if self._silent and not self._link.blocked:
            self._fail(f"no answer to a ping within {seconds:g} s")
            self._link.abort()
            return
        self._silent = not self._link.blocked
        self._link.send(PING)
        self._next(seconds)
