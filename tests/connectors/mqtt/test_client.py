"""The connection: pace of reading, keep-alive, limits, and every way it can go wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from edgestream import Disconnected, SystemClock
from edgestream_connectors.mqtt import client as client_module
from edgestream_connectors.mqtt.address import Address, open_link
from edgestream_connectors.mqtt.client import MERGED, Client
from edgestream_connectors.mqtt.link import READ, TLS_READ, Link, Pace, until
from edgestream_connectors.mqtt.packets import Login
from edgestream_connectors.mqtt.tls import Tls
from tests.connectors.mqtt.other_side import scripted
from tests.connectors.mqtt.packets_for_tests import CONNACK_5, published

SUBACK = b"\x90\x04\x00\x01\x00\x01"


def client(port: int, **login: object) -> Client:
    given = {"client_id": "me", **login}
    return Client(Address.of(f"mqtt://127.0.0.1:{port}"), Login(**given), SystemClock())  # type: ignore[arg-type]


async def failure(*answers: bytes, hang_up: bool = False, **login: object) -> str:
    """What a client says that connects, subscribes and waits for a message."""
    async with scripted(*answers, hang_up=hang_up) as server:
        one = client(server.port, **login)
        with pytest.raises(Disconnected) as caught:
            await received(one)
        await one.close()
        return str(caught.value)


def receive(link: Link, data: bytes) -> None:
    """As a transport does."""
    link.get_buffer(-1)[: len(data)] = data
    link.buffer_updated(len(data))


async def received(one: Client) -> None:
    await one.connect(Tls())
    await one.subscribe(["a/#"], 1)
    await one.take()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x80, "refused to connect: unspecified error"),
        (0x84, "this version of MQTT is not supported; try version: '3.1.1'"),
        (0x85, "the client id is not valid; set another client_id"),
        (0x87, "not authorised; check username and password, and the broker's access list"),
        (0x88, "the server is unavailable"),
        (0x8A, "banned"),
        (0x9F, "the connection rate is too high"),
        (0xFE, "reason 0xFE"),
    ],
)
async def test_refused_logins(code: int, words: str) -> None:
    assert words in await failure(bytes((0x20, 3, 0, code, 0)))


async def test_bad_password_names_the_user_but_not_the_password() -> None:
    said = await failure(b"\x20\x03\x00\x86\x00", username="anna", password="hunter2")
    assert "as user 'anna': bad user name or password; check username and password" in said
    assert "hunter2" not in said
    assert "hunter2" not in repr(Login("x", password="hunter2"))


async def test_reason_strings_are_shown() -> None:
    said = await failure(b"\x20\x0c\x00\x89\x09\x1f\x00\x06no way")
    assert "the server is busy ('no way')" in said


async def test_refused_filters_are_named() -> None:
    said = await failure(CONNACK_5, b"\x90\x04\x00\x01\x00\x87")
    assert "refuses to subscribe 'a/#': not authorised" in said


async def test_an_answer_to_another_subscription() -> None:
    assert "SUBACK: it does not belong to the subscription" in await failure(
        CONNACK_5, b"\x90\x04\x00\x09\x00\x01"
    )
    assert "SUBACK: it does not belong to the subscription" in await failure(
        CONNACK_5, b"\x90\x05\x00\x01\x00\x01\x01"
    )


async def test_what_nobody_takes_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that wait to be taken are bounded apart from those that wait to be released."""
    monkeypatch.setattr(client_module, "WAITING", 100_000)
    data = published(b"t", b"x" * 90_000, 1) * 40
    async with scripted(CONNACK_5, SUBACK + data) as server, asyncio.timeout(10):
        one = client(server.port)
        await one.connect(Tls())
        await one.subscribe(["a/#"], 1)
        await one.until(lambda: one.link.blocked)
        await asyncio.sleep(0.05)
        assert one.link.blocked, "nothing is released, and nobody takes"
        taken = 0
        while taken < 40:
            block, _ = await one.take()
            taken += len(block.messages)
        assert not one.link.blocked, "all is taken, though nothing is released"
        await one.close()


@pytest.mark.parametrize("good", [True, False])
async def test_messages_may_come_before_the_answer_to_the_subscription(
    monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    """A kept session is sent again at once: more than may be held, and the answer behind it."""
    monkeypatch.setattr(client_module, "LIMIT", 1000)
    data = published(b"t", b"x" * 600_000, 1)
    answer = SUBACK if good else b"\x90\x04\x00\x01\x00\x8f"
    async with scripted(CONNACK_5 + data, answer) as server, asyncio.timeout(10):
        one = client(server.port)
        await one.connect(Tls())
        await one.subscribe(["a/#"], 1)
        block, _ = await one.take()
        assert block.messages.payloads == [b"x" * 600_000]
        one.release(len(block.raw))
        if good:
            await one.until(lambda: one.granted == (1,))
        else:
            with pytest.raises(Disconnected, match="refuses to subscribe 'a/#': the topic filter"):
                await one.take()
        await one.close()


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"\xe0\x01\x8e", "another client uses the client id 'me'; give each worker a client_id"),
        (b"\xe0\x01\x8b", "the broker ended the connection: the server is shutting down"),
        (b"\xe0\x00", "the broker ended the connection: normal end"),
        (
            b"\x34\x06\x00\x01a\x00\x01\x00",
            "protocol: PUBLISH: a message with QoS 2 came",
        ),
    ],
)
async def test_the_broker_ends_it(packet: bytes, words: str) -> None:
    assert words in await failure(CONNACK_5, SUBACK + packet)


async def test_hang_ups() -> None:
    assert "does this port expect TLS (mqtts://)?" in await failure(b"", hang_up=True)
    said = await failure(CONNACK_5, SUBACK, hang_up=True)
    assert "is the client id 'me' used twice?" in said


async def test_not_a_broker() -> None:
    said = await failure(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "the first packet is not CONNACK: b'HTTP/1.1 400 Bad'" in said


async def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.05)
    assert "no answer within 0.05 s; is it a broker?" in await failure()
    assert "no answer to the subscription" in await failure(CONNACK_5)


async def test_what_came_is_given_out_before_the_error() -> None:
    data = published(b"a", b"1", 1) + published(b"b", b"2")
    async with scripted(CONNACK_5, SUBACK + data, hang_up=True) as server:
        one = client(server.port)
        await one.connect(Tls())
        await one.subscribe(["#"], 1)
        await asyncio.sleep(0.05)
        block, received = await one.take()
        assert block.messages.payloads == [b"1", b"2"]
        assert received > 0
        with pytest.raises(Disconnected):
            await one.take()
        await one.close()


async def test_blocks_that_wait_are_given_out_together() -> None:
    async with scripted(CONNACK_5, SUBACK) as server:
        one = client(server.port)
        await one.connect(Tls())
        await one.subscribe(["#"], 1)
        parts = [published(b"t", b"x" * (2 * MERGED // 5), ident) for ident in (1, 2, 3)]
        for part in parts:
            receive(one.link, part)
        block, _ = await one.take()
        assert block.raw == parts[0] + parts[1]
        assert len(block.messages) == 2
        assert block.acks == b"\x40\x02\x00\x01\x40\x02\x00\x02"
        assert (await one.take())[0].raw == parts[2]
        await one.close()


async def test_a_silent_server_is_noticed() -> None:
    async with scripted(CONNACK_5) as server:
        one = client(server.port)
        await one.connect(Tls())
        one._heartbeat.start(0.1)
        with pytest.raises(Disconnected, match=r"no answer to a ping within 0\.05 s"):
            await one.take()
        await one.close()


async def test_the_server_may_ask_for_another_keep_alive() -> None:
    async with scripted(b"\x20\x06\x00\x00\x03\x13\x00\x01", SUBACK, b"\xd0\x00") as server:
        one = client(server.port, keep_alive=60)
        await one.connect(Tls())
        await one.subscribe(["#"], 1)
        await asyncio.wait_for(one.until(lambda: one.pongs > 0), 10)
        assert server.heard.endswith(b"\xc0\x00")
        await one.close()


async def test_silence_does_not_count_while_reading_is_blocked() -> None:
    """The answer to a ping cannot be seen then; pings go on, so that the server sees us alive."""
    async with scripted(CONNACK_5) as server, asyncio.timeout(10):
        one = client(server.port)
        await one.connect(Tls())
        one.link.block(True)
        one._heartbeat.start(0.02)
        while server.heard.count(b"\xc0\x00") < 5:
            await asyncio.sleep(0.01)
        one.alive()
        await one.close()


async def test_keep_alive_0_is_off() -> None:
    async with scripted(CONNACK_5) as server:
        one = client(server.port, keep_alive=0)
        await one.connect(Tls())
        assert one._heartbeat._timer is None
        await one.close()


class Pausable:
    """As much of a transport as reading needs."""

    def __init__(self, read: socket.socket | None = None) -> None:
        self.calls: list[str] = []
        self._read = read

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")

    def is_closing(self) -> bool:
        return "abort" in self.calls

    def get_extra_info(self, name: str) -> socket.socket | None:
        """The socket, if there is one."""
        return self._read


def link(messages: bool = True) -> tuple[Link, Pausable]:
    made = Link(lambda _data: messages, lambda _why: None)
    below = Pausable()
    transport = cast("asyncio.Transport", below)
    made.attach(transport, transport)
    made.linger = lambda: 0.001
    return made, below


async def resumed(below: Pausable) -> None:
    async with asyncio.timeout(5):
        while below.calls[-1] != "resume":
            await asyncio.sleep(0.001)


class TestPace:
    async def test_reading_pauses_after_a_block_with_messages(self) -> None:
        one, below = link()
        receive(one, b"x")
        assert below.calls == ["pause"]
        await resumed(below)
        assert below.calls == ["pause", "resume"]

    async def test_a_second_block_in_the_pause_changes_nothing(self) -> None:
        one, below = link()
        receive(one, b"x")
        receive(one, b"x")
        await resumed(below)
        assert below.calls == ["pause", "resume"]

    async def test_a_full_read_is_followed_at_once(self) -> None:
        one, below = link()
        receive(one, b"x" * READ)
        assert below.calls == []
        receive(one, b"x" * (READ - 1))
        assert below.calls == ["pause"]

    async def test_under_tls_less_is_a_full_read(self) -> None:
        one, below = link()
        one.attach(cast("asyncio.Transport", Pausable()), cast("asyncio.Transport", below))
        receive(one, b"x" * TLS_READ)
        assert below.calls == []
        receive(one, b"x" * (TLS_READ - 1))
        assert below.calls == ["pause"]

    async def test_other_packets_do_not_pause(self) -> None:
        one, below = link(messages=False)
        receive(one, b"x")
        assert below.calls == []

    async def test_linger_0_is_off(self) -> None:
        one, below = link()
        one.linger = lambda: 0.0
        receive(one, b"x")
        assert below.calls == []

    async def test_a_blocked_link_stays_blocked_when_the_pause_ends(self) -> None:
        one, below = link()
        receive(one, b"x")
        one.block(True)
        while one._timer is not None:
            await asyncio.sleep(0.001)
        assert below.calls == ["pause", "pause"]
        one.block(False)
        assert below.calls[-1] == "resume"

    async def test_unblocking_waits_for_the_pause_to_end(self) -> None:
        one, below = link()
        one.block(True)
        receive(one, b"x")
        one.block(False)
        assert below.calls == ["pause", "pause"]
        await resumed(below)

    async def test_a_lost_connection_ends_the_pause(self) -> None:
        one, below = link()
        receive(one, b"x")
        one.connection_lost(None)
        assert one._timer is None
        assert below.calls == ["pause"]


class TestGathering:
    def seconds(
        self, asked: float, reads: Sequence[tuple[int, bool]], awaited: bool
    ) -> list[float]:
        pace = Pace()
        found = []
        for came, at_once in reads:
            pace.note(asked, came, at_once, awaited=awaited)
            found.append(pace.seconds)
        return found

    def test_longer_while_many_come_where_rows_are_awaited(self) -> None:
        reads = [(came, False) for came in (15, 16, 20, 20, 20, 5, 4, 3, 1, 1, 1)]
        assert self.seconds(0.001, reads, False) == (
            [0.001, 0.002, 0.004, 0.005, 0.005, 0.005, 0.005, 0.0025, 0.00125, 0.001, 0.001]
        )

    def test_as_the_runtime_says_where_they_are_not(self) -> None:
        assert self.seconds(0.05, [(1, False), (1_000, True)], False) == [0.05, 0.05]

    def test_20_ms_where_the_broker_may_wait(self) -> None:
        assert self.seconds(0.05, [(20, True)] * 20, True) == [0.02] * 20
        assert self.seconds(0.05, [(1_000, False)] * 20, True) == [0.02] * 20
        assert self.seconds(0.001, [(20, True)] * 20, True) == [0.001] * 20

    def test_a_broker_that_goes_on_sending_does_not_wait(self) -> None:
        reads = [(64, True)] * 11 + [(64, False)] + [(64, True)] * 10 + [(63, True)]
        found = self.seconds(0.05, reads, True)
        assert found == [0.02] * 9 + [0.05] * 2 + [0.02] * 10 + [0.05] + [0.02]


class TestReadingAhead:
    """What is in the socket is read without waiting to be told that it is there."""

    @pytest.fixture
    def ends(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as far,
            server.accept()[0] as near,
        ):
            near.setblocking(False)
            yield near, far

    def reading(self, near: socket.socket) -> tuple[Link, Pausable, list[bytes], list[str]]:
        read: list[bytes] = []
        ended: list[str] = []
        one = Link(lambda data: not read.append(bytes(data)), ended.append)
        below = Pausable(near)
        transport = cast("asyncio.Transport", below)
        one.attach(transport, transport)
        one.linger = lambda: 0.001
        return one, below, read, ended

    async def test_behind_what_came(self, ends: tuple[socket.socket, socket.socket]) -> None:
        near, far = ends
        one, _, read, _ = self.reading(near)
        far.sendall(b"behind")
        receive(one, b"first, ")
        assert read == [b"first, behind"]

    async def test_after_a_pause(self, ends: tuple[socket.socket, socket.socket]) -> None:
        near, far = ends
        one, below, read, _ = self.reading(near)
        receive(one, b"1")
        far.sendall(b"2")
        await resumed(below)
        assert read == [b"1", b"2"]
        assert below.calls == ["pause", "pause", "resume"]

    async def test_the_end_is_left_to_the_transport(
        self, ends: tuple[socket.socket, socket.socket]
    ) -> None:
        near, far = ends
        one, below, read, ended = self.reading(near)
        far.close()
        receive(one, b"1")
        await resumed(below)
        assert read == [b"1"]
        assert ended == []

    async def test_an_error_is_told_behind_what_came(
        self, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> int:
            raise OSError(errno.ENETDOWN, "Network is down")

        one, below, read, ended = self.reading(ends[0])
        monkeypatch.setattr(os, "readv", broken)
        receive(one, b"1")
        assert read == [b"1"]
        assert "abort" in below.calls
        one.connection_lost(None)
        assert ended == ["network is down"]


@pytest.mark.parametrize(
    ("now", "then"), [(3.0, 3.25), (3.0625, 3.25), (3.125, 3.375), (3.1875, 3.4375)]
)
def test_pauses_end_together_where_that_is_not_too_soon(now: float, then: float) -> None:
    assert until(0.25, now) == then


async def test_what_was_read_is_acknowledged_at_once() -> None:
    """A talk to and fro makes Linux wait up to 40 ms for an answer to carry the acknowledgement."""
    read = asyncio.Semaphore(0)
    one = Link(lambda _data: bool(read.release()), lambda _why: None)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1):
            writer.write(asked)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        await open_link(one, Address("", "127.0.0.1", _port(server), False), Tls())
        assert one._socket is not None
        raw = one._socket.get_extra_info("socket")
        for _ in range(5):
            one.send(b"x")
            waits_before = not raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
            await asyncio.wait_for(read.acquire(), 10)
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
        assert waits_before
        await one.close()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("mqtt://broker", "broker", 1883, False),
        ("mqtts://broker/", "broker", 8883, True),
        ("mqtt://10.0.0.1:1", "10.0.0.1", 1, False),
        ("mqtt://[::1]:99", "::1", 99, False),
    ],
)
def test_addresses(url: str, host: str, port: int, tls: bool) -> None:
    address = Address.of(url)
    assert (address.host, address.port, address.tls) == (host, port, tls)


async def test_unknown_host() -> None:
    one = Client(Address.of("mqtt://nowhere.invalid"), Login("x"), SystemClock())
    with pytest.raises(Disconnected, match=r"the host name 'nowhere.invalid' is not known"):
        await one.connect(Tls())
    await one.close()
