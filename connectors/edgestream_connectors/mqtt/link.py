"""One TCP or TLS connection: the pace of reading, the pressure of writing, and why it ended.

Rule of reading: every read is handed on as one block; after a block with messages reading pauses
for up to ``linger()`` seconds, so that the next block is a large one: waking up for every message
costs several times what the message does. A read that filled its buffer is followed by the next at
once. What was read is acknowledged by TCP at once too: a broker that sends small packets one at a
time (Nagle; mosquitto by default) may else wait 40 ms for it with all that came meanwhile. On the
same machine that is there as soon as it is acknowledged: it is read behind what came, and not only
after the next pause. After a pause the socket is read without asking first whether there is
something, and watched again only where there is nothing. (All but the pause is without TLS, where
what is read from the socket is not yet what was sent.)
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from edgestream_connectors.mqtt import tls

CLOSED = "the server closed the connection"
READ = 768 * 1024
"""So much is read at once. What a broker sends within the longest linger is then one read, and not
one and a small rest; some thousands of messages cost less each than some hundreds."""
TLS_READ = 128 * 1024
"""Under TLS asyncio reads 256 KiB at once, of which up to a half is not the messages."""

AWAITED = 0.02
"""Seconds to gather at most while the broker may wait: by default mosquitto has 20 under way."""
FLOWING = 10
"""Reads that each found many messages as soon as the pause was over: although none of them was
acknowledged the broker went on sending, so it does not wait."""
BUSY = 0.005
"""Seconds to gather at most where rows are awaited, while many come together."""
MANY = 16
"""Messages of a read from which on the next gathers twice as long: waking costs more than they."""
FEW = 4
"""Below so many it gathers half as long: there is little to gather."""

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class Pace:
    """How long to gather after a read, by what reads bring."""

    def __init__(self) -> None:
        """Not at all yet."""
        self.seconds = 0.0
        self._streak = 0

    def note(self, asked: float, came: int, at_once: bool, *, awaited: bool) -> None:
        """A read brought ``came`` messages; ``at_once``: they were there when a pause was over.

        ``asked`` are the seconds that the runtime asks for; ``awaited`` says whether the broker
        waits for acknowledgements, of which it may have few under way.
        """
        self._streak = self._streak + 1 if awaited and at_once and came >= 4 * MANY else 0
        if awaited:
            self.seconds = min(asked, AWAITED) if self._streak < FLOWING else asked
        elif asked >= BUSY:
            self.seconds = asked
        else:
            self.seconds = max(asked, _crowded(max(asked, self.seconds), came))


def _crowded(seconds: float, came: int) -> float:
    """How long to gather after ``seconds`` of gathering that brought ``came`` messages."""
    if came >= MANY:
        return min(2 * seconds, BUSY)
    return seconds / 2 if came < FEW else seconds


class Ahead:
    """Reads what is in a socket, without being told first that there is something."""

    def __init__(self, transport: asyncio.Transport | None = None) -> None:
        """From the socket of ``transport``, if it has one; else there is never anything."""
        self.error: OSError | None = None
        """Why the transport was cut."""
        self._transport = transport
        self._socket = None if transport is None else transport.get_extra_info("socket")

    def read(self, room: memoryview) -> int:
        """How many bytes came; 0 as well at the end, which is the transport's to find."""
        if self._transport is None or self._socket is None or self._transport.is_closing():
            return 0
        try:
            return os.readv(self._socket.fileno(), [room])
        except BlockingIOError:
            return 0
        except OSError as error:
            self.error = error  # told once what came before is handed on
            self._transport.abort()
            return 0


class Link(asyncio.BufferedProtocol):
    """The transport's side of a connection."""

    def __init__(self, deliver: Callable[[memoryview], bool], lost: Callable[[str], None]) -> None:
        """``deliver`` says whether to linger; what it is given is gone when it returns.

        ``lost`` is told why the connection ended.
        """
        self.linger: Callable[[], float] = _not_at_all
        self._buffer = memoryview(bytearray(READ))
        self._deliver = deliver
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._socket: asyncio.Transport | None = None
        self._ahead = Ahead()
        self._timer: asyncio.TimerHandle | None = None
        self.blocked = False
        self.paused = False
        """Whether the socket is not watched, and read when the pause is over."""
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()

    def attach(self, transport: asyncio.Transport, below: asyncio.Transport) -> None:
        """Write to ``transport``; pause reading ``below``, the socket itself also under TLS."""
        self._transport, self._socket = transport, below
        if transport is below:
            self._ahead = Ahead(below)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand a block on, then pause unless there is more to read already."""
        if self._socket is not None:
            _acknowledge(self._socket)
        # A read that filled its buffer may have left more.
        full = READ if self._transport is self._socket else TLS_READ
        if nbytes < full:
            nbytes += self._ahead.read(self._buffer[nbytes:])
        seconds = self.linger() if self._deliver(self._buffer[:nbytes]) and nbytes < full else 0.0
        if self._timer is None and self._socket is not None and (seconds > 0 or self.paused):
            self._socket.pause_reading()
            self.paused = True
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(until(seconds, loop.time()), self._lingered)

    def _lingered(self) -> None:
        self._timer = None
        if self.blocked or self._socket is None:
            return
        nbytes = self._ahead.read(self._buffer)
        if nbytes:
            self.buffer_updated(nbytes)
        else:
            self.paused = False
            self._socket.resume_reading()

    def block(self, blocked: bool) -> None:
        """Stop reading until told to go on."""
        if blocked == self.blocked or self._socket is None:
            return
        self.blocked = blocked
        if blocked:
            self._socket.pause_reading()
        elif self._timer is None:
            self.paused = False
            self._socket.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why, and let nobody wait any longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closed.set()
        self._writable.set()
        self._lost(why_lost(exc or self._ahead.error))

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
    if seconds <= 0:
        return now
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
