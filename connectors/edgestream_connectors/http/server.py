"""Listening: connections, what they may hold together, and the requests that wait to be read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import edgestream as es
from edgestream_connectors.http.body import Refused, checked_id, payloads_of, unpacked
from edgestream_connectors.http.connection import HEADER_BYTES, Connection
from edgestream_connectors.http.request import Arrived, Pattern
from edgestream_connectors.http.settings import Address

if TYPE_CHECKING:
    import ssl

    import h11

_FAREWELL = 1.0
"""Seconds in which clients may read their last answer."""
_SWEEP = 1.0
"""Seconds between two looks for clients that take too long."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken, and how much."""

    patterns: tuple[Pattern, ...]
    token: bytes | None
    headers: Mapping[bytes, str]
    path_column: bool
    types: frozenset[str]
    max_body: int
    max_held: int
    connections: int
    patience: float
    keep_alive: float


class Server:
    """The open port."""

    def __init__(self, rules: Rules, count: Callable[[str], None]) -> None:
        """Take what the rules allow; ``count`` counts what was refused."""
        self.rules = rules
        self.max_body = rules.max_body
        self.patience = rules.patience
        self.keep_alive = rules.keep_alive
        self.came = asyncio.Event()
        self.waiting: list[tuple[Arrived, Connection]] = []
        self.stopping = False
        self._count = count
        self._held = 0
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._listener: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def listen(self, address: Address, tls: ssl.SSLContext | None) -> None:
        """Open the port; raises `es.Fatal` where it cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: Connection(self, loop.time), address.host, address.port, ssl=tls
            )
        except OSError as error:
            raise _refusal(error, address) from error
        self._sweep = loop.call_later(_SWEEP, self._look)

    def stop(self) -> None:
        """Take no more requests."""
        self.stopping = True
        if self._listener is not None:
            self._listener.close()
        self.came.set()

    async def close(self) -> None:
        """Take no more, tell those who wait that they must ask again, and hang up."""
        self.stop()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._connections):
            if connection.waits:
                words = "the pipeline stops before this was safe; send it again"
                connection.answer(503, words, {"Retry-After": "5"})
            if not connection.parting:
                connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._empty.wait()
        for connection in list(self._connections):
            connection.close(at_once=True)
        if self._listener is not None:
            await self._listener.wait_closed()

    def begin(self, request: h11.Request) -> Callable[[bytes], tuple[Arrived, int]]:
        """Look at a request's head; what makes a request of its body. Raises `Refused`."""
        try:
            return self._begin(request)
        except Refused:
            self._count("refused")
            raise

    def hold(self, size: int) -> None:
        """Bytes of a body have come; raises `Refused` where there is no room."""
        if self._held + size > self.rules.max_held:
            self._count("busy")
            raise Refused(429, "too much is waiting to be written; send it again")
        self._held += size

    def release(self, size: int) -> None:
        """They are done with."""
        self._held -= size

    def deliver(self, made: object, connection: Connection) -> None:
        """A whole request waits to be read by the source."""
        assert isinstance(made, Arrived)
        if not made.payloads:
            connection.answer(202)
            return
        self.waiting.append((made, connection))
        self.came.set()

    def joined(self, connection: Connection) -> bool:
        """One more client, where there may be one."""
        self._connections.add(connection)
        self._empty.clear()
        return len(self._connections) <= self.rules.connections

    def left(self, connection: Connection) -> None:
        """One less."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._connections):
            if connection.deadline < now:
                connection.expire()
        self._sweep = loop.call_later(_SWEEP, self._look)

    def _begin(self, request: h11.Request) -> Callable[[bytes], tuple[Arrived, int]]:
        headers = {bytes(name): bytes(value) for name, value in request.headers}
        _admit(headers, self.rules.token)
        if self.stopping:
            raise Refused(503, "the pipeline is stopping; send it again")
        target = bytes(request.target).decode("latin-1").partition("?")[0]
        found = (pattern.match(target) for pattern in self.rules.patterns)
        values = next((names for names in found if names is not None), None)
        if values is None:
            raise Refused(404, "nothing is taken at this path")
        if request.method != b"POST":
            raise Refused(405, "send data with POST")
        if sum(len(name) + len(value) + 4 for name, value in headers.items()) > HEADER_BYTES:
            raise Refused(431, f"the headers have more than {HEADER_BYTES} bytes")
        if b"transfer-encoding" in headers and b"content-length" in headers:
            raise Refused(400, "two lengths: Transfer-Encoding and Content-Length")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.max_body:
            raise Refused(413, f"the body has more than {self.max_body} bytes; send less")
        columns: dict[str, str | None] = dict(values)
        for pattern in self.rules.patterns:
            columns |= {name: None for name in pattern.names if name not in columns}
        for name, column in self.rules.headers.items():
            value = headers.get(name)
            columns[column] = None if value is None else value.decode("latin-1")
        if self.rules.path_column:
            columns["path"] = target
        return lambda body: self._made(headers, target, columns, body)

    def _made(
        self,
        headers: Mapping[bytes, bytes],
        path: str,
        columns: Mapping[str, str | None],
        data: bytes,
    ) -> tuple[Arrived, int]:
        try:
            encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
            data = unpacked(data, encoding, self.max_body)
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            body = payloads_of(data, kind.decode("latin-1"), self.rules.types)
            ids = body.ids or _ids(headers, path, len(body.payloads))
        except Refused:
            self._count("refused")
            raise
        return Arrived(body.payloads, columns, ids), sum(map(len, body.payloads))


def _admit(headers: Mapping[bytes, bytes], token: bytes | None) -> None:
    """Raise `Refused` for whoever does not show the token.

    Where there is none, pages in a browser are turned away: any page that is looked at on this
    machine can reach 127.0.0.1, if need be by a name of its own that was pointed there.
    """
    if token is None:
        if b"origin" in headers:
            raise Refused(403, "a web page may send rows only with a token; give the source one")
        return
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    right = hmac.compare_digest(given.strip(), token)
    if scheme.lower() != b"bearer" or not right:
        raise Refused(401, "send the header Authorization: Bearer and the token")


def _ids(headers: Mapping[bytes, bytes], path: str, count: int) -> list[str] | None:
    """The ids of a request's payloads, from the headers that name it; raises `Refused`."""
    source, event = headers.get(b"ce-source"), headers.get(b"ce-id")
    key = headers.get(b"idempotency-key")
    if source is not None and event is not None:
        texts = [each.decode("latin-1") for each in (source, event)]
        name = "ce\0" + "\0".join(checked_id(text, "ce-source and ce-id") for text in texts)
    elif key is not None:
        # Two senders may use one key at two paths, and mean two things.
        name = f"key\0{path}\0{checked_id(key.decode('latin-1'), 'Idempotency-Key')}"
    else:
        return None
    return [name] if count == 1 else [f"{name}\0{row}" for row in range(count)]


def _refusal(error: OSError, address: Address) -> es.Fatal:
    place = f"port {address.port} on {address.host}"
    if error.errno == errno.EADDRINUSE:
        words = f"http: {place} is in use; which program has it: ss -ltnp sport = :{address.port}"
        return es.Fatal(words, 75)
    if error.errno in (errno.EACCES, errno.EPERM):
        return es.Fatal(f"http: {place} is not allowed for this user; choose one from 1024 up", 77)
    words = f"http: cannot listen on {place}: {error.strerror or error}"
    return es.Fatal(f"{words}; name an address of this machine", 78)
