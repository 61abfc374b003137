"""One TCP or TLS connection: the pace of reading, the pressure of writing, and why it ended.

Rule of reading: every socket read is handed on as one block; after a block with messages reading
pauses for up to ``linger()`` seconds, so that the next block is a large one: waking up for every
message costs several times what the message does. A read that filled its buffer is followed by the
next at once. What was read is acknowledged by TCP at once too: a broker that sends small packets
one at a time (Nagle; mosquitto by default) may else wait 40 ms for it with all that came meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from edgestream_connectors.mqtt import tls

CLOSED = "the server closed the connection"
READ = 512 * 1024
"""So much is read at once: some 4,000 messages cost less each than the half of it, which asyncio
would read."""
FULL_READ = READ // 2
"""A read of this size may have had more behind it, and is large enough to be cheap."""

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class Link(asyncio.BufferedProtocol):
    """The transport's side of a connection."""

    def __init__(self, deliver: Callable[[bytes], bool], lost: Callable[[str], None]) -> None:
        """``deliver`` takes a block and says whether to linger; ``lost`` takes why it ended."""
        self.linger: Callable[[], float] = _not_at_all
        self._buffer = memoryview(bytearray(READ))
        self._deliver = deliver
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._socket: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.blocked = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()

    def attach(self, transport: asyncio.Transport, below: asyncio.Transport) -> None:
        """Write to ``transport``; pause reading ``below``, the socket itself also under TLS."""
        self._transport, self._socket = transport, below

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand a block on, then pause unless there is more to read already."""
        data = bytes(self._buffer[:nbytes])
        if self._socket is not None:
            _acknowledge(self._socket)
        if not self._deliver(data) or len(data) >= FULL_READ:
            return
        seconds = self.linger()
        if seconds > 0 and self._timer is None and self._socket is not None:
            self._socket.pause_reading()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(until(seconds, loop.time()), self._lingered)

    def _lingered(self) -> None:
        self._timer = None
        if not self.blocked and self._socket is not None:
            self._socket.resume_reading()

    def block(self, blocked: bool) -> None:
        """Stop reading until told to go on."""
        if blocked == self.blocked or self._socket is None:
            return
        self.blocked = blocked
        if blocked:
            self._socket.pause_reading()
        elif self._timer is None:
            self._socket.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why, and let nobody wait any longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closed.set()
        self._writable.set()
        self._lost(why_lost(exc))

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Send, and wait while the send buffer is full."""
        self.send(data)
        await self._writable.wait()

    def send(self, data: bytes) -> None:
        """Send without waiting; what cannot be sent any more is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self, seconds: float = 1.0) -> None:
        """Send what is buffered and close; cut the connection if that takes too long."""
        if self._transport is None:
            return
        self.linger = _not_at_all
        self.block(False)
        self._transport.close()
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except TimeoutError:
            self.abort()


def until(seconds: float, now: float) -> float:
    """When to read again: at a multiple of ``seconds``, where that is more than half of it away.

    So the reads of all connections, and the ticks of the runtime, wake the machine together.
    """
    left = seconds - now % seconds
    return now + (left if 2 * left > seconds else seconds)


def _acknowledge(transport: asyncio.BaseTransport) -> None:
    """Let the system acknowledge what was read, where it can be told to (Linux)."""
    read = transport.get_extra_info("socket")
    if _QUICKACK is not None and read is not None and not transport.is_closing():
        read.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def _not_at_all() -> float:
    return 0.0


def why_lost(error: Exception | None) -> str:
    """Why a connection ended, in words."""
    if error is None:
        return CLOSED
    if hasattr(error, "reason") and hasattr(error, "library"):
        return tls.explain(error)  # type: ignore[arg-type]
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return CLOSED
    return str(getattr(error, "strerror", None) or error).lower()
