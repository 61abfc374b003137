"""One connection of a client: requests one after the other, each answered when it is durable.

Rules: everything a peer can hold is bounded (bytes of headers and bodies, seconds for a request,
one request at a time); what is refused is answered with a reason, and nothing of it is taken.
Answers are plain bytes: h11 reads, since reading is where attacks are, and a new `h11.Connection`
for each request is cheaper than its writing side.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from edgestream_connectors.http.body import Refused

if TYPE_CHECKING:
    import h11

HEADER_BYTES = 16_384
_PART_SECONDS = 1.0


class Site(Protocol):
    """What a connection asks of the server."""

    patience: float
    keep_alive: float
    max_body: int
    stopping: bool

    def begin(self, request: h11.Request) -> Callable[[bytes], tuple[object, int]]:
        """Look at a request's head; what makes of its body a request and its bytes unpacked.

        Both raise `Refused`.
        """

    def hold(self, size: int) -> None:
        """Bytes of a body have come; raises `Refused` (429) where there are too many."""

    def release(self, size: int) -> None:
        """They are done with."""

    def deliver(self, made: object, connection: Connection) -> None:
        """A whole request; `Connection.answer` is called when it is durable."""

    def joined(self, connection: Connection) -> bool:
        """A client has connected; False: there are too many."""

    def left(self, connection: Connection) -> None:
        """A client has gone."""


class Connection(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, site: Site, now: Callable[[], float]) -> None:
        """Serve ``site``; ``now`` is the loop's clock in seconds."""
        self._site = site
        self._now = now
        self._transport: asyncio.Transport | None = None
        self._http = _reader()
        self._take: Callable[[bytes], tuple[object, int]] | None = None
        self._body: list[bytes] = []
        self._held = 0
        self.waits = False
        """Whether a whole request has come that is not answered yet."""
        self.parting = False
        """Whether the last answer is under way."""
        self._begun = False
        self.deadline = now() + site.patience
        """When patience with this client ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._site.joined(self):
            self._refuse(Refused(503, "too many connections"), {"Retry-After": "5"})

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; what it sent whole is processed all the same."""
        self._transport = None
        self._site.release(self._held)
        self._held, self._body = 0, []
        self._site.left(self)

    def data_received(self, data: bytes) -> None:
        """Read on; a whole request goes to the site."""
        if self.parting:
            return
        if not self._begun and not self.waits:
            self._begun, self.deadline = True, self._now() + self._site.patience
        self._http.receive_data(data)
        self._read()

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for an answer."""
        if self.waits:
            return True
        if self._begun and not self.parting:
            self._http.receive_data(b"")
            self._read()  # which says that the request is cut short
        self.close()
        return False

    def answer(self, status: int, words: str = "", more: Mapping[str, str] | None = None) -> None:
        """Answer the request that was delivered, and go on with the next."""
        if self._transport is None:
            return
        import h11  # noqa: PLC0415 - only where a pipeline names the source

        last = self._site.stopping or self._http.their_state is h11.MUST_CLOSE
        self.waits = False
        self._site.release(self._held)
        self._held = 0
        self._transport.write(_answer(status, words, more or {}, close=last))
        if last:
            self._part()
            return
        rest, _ = self._http.trailing_data
        self._http = _reader()
        self._begun, self.deadline = bool(rest), self._now() + self._site.keep_alive
        self._transport.resume_reading()
        if rest:
            self._http.receive_data(rest)
            self._read()

    def expire(self) -> None:
        """Patience is at its end."""
        if self._begun and not self.parting:
            self._refuse(Refused(408, "the request did not arrive in time"), {})
        else:
            self.close()

    def close(self, *, at_once: bool = False) -> None:
        """Send what is written, then hang up; ``at_once``: without it."""
        if self._transport is not None and at_once:
            self._transport.abort()
        elif self._transport is not None:
            self._transport.close()

    def _read(self) -> None:
        import h11  # noqa: PLC0415 - only where a pipeline names the source

        try:
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.Request):
                    self._take = self._site.begin(event)
                    if self._http.they_are_waiting_for_100_continue and self._transport:
                        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                elif isinstance(event, h11.Data):
                    self._hold(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._complete()
                    return
                else:
                    self.close()
                    return
        except Refused as error:
            retry = {"Retry-After": "1"} if error.status in (429, 503) else {}
            self._refuse(error, retry)
        except h11.RemoteProtocolError as error:
            self._refuse(Refused(error.error_status_hint, str(error)), {})

    def _hold(self, data: bytes) -> None:
        if self._held + len(data) > self._site.max_body:
            raise Refused(413, f"the body has more than {self._site.max_body} bytes; send less")
        self._site.hold(len(data))
        self._held += len(data)
        self._body.append(data)

    def _complete(self) -> None:
        assert self._take is not None
        assert self._transport is not None
        body, self._body = b"".join(self._body), []
        made, size = self._take(body)
        # What is small on the wire may be large from here on.
        more = max(0, size - self._held)
        self._site.hold(more)
        self._held += more
        self.waits, self._begun, self.deadline = True, False, math.inf
        self._transport.pause_reading()
        self._site.deliver(made, self)

    def _refuse(self, why: Refused, more: Mapping[str, str]) -> None:
        """Answer at once and hang up: what else is on its way is not read as a request."""
        self._site.release(self._held)
        self._held, self._body = 0, []
        if self._transport is not None and not self._transport.is_closing():
            if why.status == 401:
                more = {**more, "WWW-Authenticate": "Bearer"}
            if why.status == 405:
                more = {**more, "Allow": "POST"}
            self._transport.write(_answer(why.status, str(why), more, close=True))
            self._part()

    def _part(self) -> None:
        """Let the client read the last answer: closing on unread input would take it back."""
        self.parting, self._begun = True, False
        self.deadline = self._now() + _PART_SECONDS
        if self._transport is not None:
            self._transport.resume_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()


def _reader() -> h11.Connection:
    import h11  # noqa: PLC0415 - only where a pipeline names the source

    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES)


def _answer(status: int, words: str, more: Mapping[str, str], *, close: bool) -> bytes:
    body = f"{words}\n".encode() if words else b""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(body)}")
    if body:
        lines.append("Content-Type: text/plain; charset=utf-8")
        lines.append("X-Content-Type-Options: nosniff")
    lines += [f"{name}: {value}" for name, value in more.items()]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
