"""An MQTT connection in asyncio: `Protocol` over a `Link`, with waiting, keep-alive and limits.

Rules: what has been received is always given out before the error that ended the connection; no
more than ``LIMIT`` bytes of messages are read before they are released, and ``WAITING`` before they
are taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from edgestream import Clock, Disconnected
from edgestream_connectors.mqtt import packets
from edgestream_connectors.mqtt.address import Address, open_link
from edgestream_connectors.mqtt.heartbeat import Heartbeat
from edgestream_connectors.mqtt.link import CLOSED, Link
from edgestream_connectors.mqtt.outgoing import Outgoing
from edgestream_connectors.mqtt.packets import Connack, Goodbye, Login, Pingresp, Puback, Suback
from edgestream_connectors.mqtt.protocol import Block, Event, Failed, Protocol
from edgestream_connectors.mqtt.reasons import reason
from edgestream_connectors.mqtt.tls import Tls

LIMIT = 4 * 1024 * 1024
"""Bytes of messages received and not yet released; reading stops beyond."""
WAITING = 512 * 1024
"""Bytes of messages that nobody has taken yet; reading stops beyond."""
CONNECT_SECONDS = 10.0
MERGED = 512 * 1024
"""Blocks that wait are given out together up to this size."""
_TAKEN_OVER = 0x8E


class Client:
    """One connection; made by `connect`, used once."""

    def __init__(self, address: Address, login: Login, clock: Clock) -> None:
        """Talk to ``address`` as ``login``."""
        self.connack = Connack(False, 0)
        self.outgoing = Outgoing(0)
        self.pongs = 0
        self.granted: Sequence[int] = ()
        self.link = Link(self._deliver, self.fail)
        self._address = address
        self._login = login
        self._clock = clock
        self._protocol = Protocol(login)
        self._blocks: deque[tuple[Block, int]] = deque()
        self._held = 0
        self._waiting = 0
        self._failure = ""
        self._answered = False
        self._filters: Sequence[str] = ()
        self._changed = asyncio.Event()
        self.awaited = False
        """Whether the broker waits for the acknowledgement of what came last."""
        self.came = 0
        """How many messages came last."""
        self._heartbeat = Heartbeat(self.link, self.fail)

    async def connect(self, tls: Tls) -> None:
        """Connect and log in; raises `Disconnected` saying why not and what to do."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await open_link(self.link, self._address, tls)
                await self.link.write(self._protocol.connect())
                await self.until(lambda: self._answered)
        except TimeoutError as error:
            raise _cannot(
                self._address, f"no answer within {CONNECT_SECONDS:g} s; is it a broker?"
            ) from error
        answer = self.connack
        if answer.code:
            said = answer.properties.texts.get("reason_string", "")
            who = f" as user {self._login.username!r}" if self._login.username else ""
            raise _cannot(
                self._address, f"the broker refused to connect{who}: {reason(answer.code, said)}"
            )
        self.outgoing = Outgoing(answer.limit("receive_maximum", packets.RECEIVE_MAXIMUM))
        self._heartbeat.start(answer.limit("server_keep_alive", self._login.keep_alive))

    async def subscribe(self, filters: Sequence[str], qos: int) -> None:
        """Subscribe; a refusal ends the connection, and is raised as `Disconnected` from here on.

        Messages may come before the answer, as many as can be held: then it is read later.
        """
        self._filters = filters
        await self.link.write(self._protocol.subscribe(filters, qos))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.until(lambda: bool(self.granted) or self.link.blocked)
        except TimeoutError as error:
            raise _cannot(self._address, "no answer to the subscription") from error

    async def take(self) -> tuple[Block, int]:
        """The messages that came, as one block, and when (ns); waits for some."""
        await self.until(lambda: bool(self._blocks))
        block, received = self._blocks.popleft()
        size = len(block.raw)
        more: list[Block] = []
        while self._blocks and size + len(self._blocks[0][0].raw) <= MERGED:
            later = self._blocks.popleft()[0]
            block.messages.extend(later.messages)
            size += len(later.raw)
            more.append(later)
        if more:
            block.raw = b"".join((block.raw, *(later.raw for later in more)))
            block.acks = b"".join((block.acks, *(later.acks for later in more)))
        self._waiting -= size
        self._read_on()
        return block, received

    def release(self, size: int) -> None:
        """Messages of ``size`` bytes are done with: there is room for others."""
        self._held -= size
        self._heartbeat.heard()
        self._read_on()

    def alive(self) -> None:
        """Raise `Disconnected` if the connection is gone."""
        if self._failure:
            raise Disconnected(self._failure)

    def ping(self) -> None:
        """Ask for an answer, which counts up ``pongs`` after everything sent was read."""
        self.link.send(packets.PING)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something received makes ``condition`` true; raises `Disconnected`."""
        while not condition():
            self.alive()
            self._changed.clear()
            await self._changed.wait()

    def fail(self, why: str) -> None:
        """The connection is of no use any more; the first reason counts."""
        if self._failure:
            return
        self._heartbeat.stop()
        if why == CLOSED:
            why += _perhaps(self._login, answered=self._answered, tls=self._address.tls)
        self._failure = f"lost {self._address.url}: {why}"
        self._changed.set()

    async def close(self) -> None:
        """Say goodbye and close; safe after anything."""
        if not self._failure:
            self.link.send(packets.disconnect(v5=self._login.v5))
        self.fail("closed by this side")
        await self.link.close()

    def _deliver(self, data: memoryview) -> bool:
        """A read came; says whether it held messages."""
        self._heartbeat.heard()
        held = self._held
        for event in self._protocol.receive(data):
            self._handle(event)
        self._changed.set()
        self._read_on()
        return self._held > held

    def _read_on(self) -> None:
        """Read where there is room, and only there."""
        self.link.block(self._held >= LIMIT or self._waiting >= WAITING)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Block):
            self._blocks.append((event, self._clock.wall()))
            self._held += len(event.raw)
            self._waiting += len(event.raw)
            self.awaited = bool(event.acks)
            self.came = len(event.messages)
        elif isinstance(event, Puback):
            self.outgoing.answered(event)
        elif isinstance(event, Pingresp):
            self.pongs += 1
        elif isinstance(event, Connack):
            self.connack = event
            self._answered = True
        elif isinstance(event, Suback):
            self.granted = event.codes
            refused = event.refused(self._filters)
            if refused:
                self.fail(f"the broker refuses to subscribe {refused}")
        elif isinstance(event, Goodbye):
            why = reason(event.code, event.said)
            if event.code == _TAKEN_OVER:
                why = (
                    f"another client uses the client id {self._login.client_id!r}; "
                    "give each worker a client_id of its own"
                )
            self.fail(f"the broker ended the connection: {why}")
        elif isinstance(event, Failed):
            self.link.send(packets.disconnect(0x82, v5=self._login.v5))
            self.fail(f"the broker broke the MQTT protocol: {event.message}")


def _perhaps(login: Login, *, answered: bool, tls: bool) -> str:
    """What it may mean that the server closes the connection without a word."""
    if answered:
        return f"; if this repeats, is the client id {login.client_id!r} used twice?"
    if tls:
        return "; if it requires a client certificate, set tls.cert and tls.key"
    return "; does this port expect TLS (mqtts://)?"


def _cannot(address: Address, why: str) -> Disconnected:
    return Disconnected(f"cannot use {address.url}: {why}")
