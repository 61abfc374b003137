"""A TCP proxy that can behave like a bad line: between the worker and a broker or database.

with Proxy(broker.port) as proxy:
    proxy.cut()               # both sides of every connection are reset
    proxy.latency = 0.5       # seconds each way
    proxy.resets = 0.05       # the share of pieces that end their connection
    proxy.frozen = True       # half open: what comes is neither passed on nor refused
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

from tests.servers.process import free_port

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: close sends RST."""
Tap = Callable[[int, bool, bytes], None]
"""Told of every piece passed on: number of the connection, whether from the server, bytes."""


class Proxy:
    """Listens on a port of its own and passes everything on to ``target``."""

    def __init__(self, target: int, *, seed: int = 7) -> None:
        self.port = free_port()
        self.latency = 0.0
        self.resets = 0.0
        self.frozen = False
        self.connections = 0
        self.tap: Tap | None = None
        self._target = target
        self._rng = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._listening = threading.Event()
        self._stop = asyncio.Event()

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._listening.set()
        await self._stop.wait()
        server.close()
        self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, there[1]}
        ways = (
            asyncio.create_task(self._pass_on(number, False, reader, there[1])),
            asyncio.create_task(self._pass_on(number, True, there[0], writer)),
        )
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._open -= {writer, there[1]}
        _reset(writer)
        _reset(there[1])

    async def _pass_on(
        self, number: int, back: bool, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if self.latency:
                    await asyncio.sleep(self.latency)
                while self.frozen:
                    await asyncio.sleep(0.05)
                if self.resets and self._rng.random() < self.resets:
                    return
                if self.tap is not None:
                    self.tap(number, back, data)
                target.write(data)
                await target.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    if writer.is_closing():
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
