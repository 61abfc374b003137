"""The conversation without a socket: every split of the bytes, and everything broken."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream_connectors.mqtt import bulk
from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.packets import Connack, Goodbye, Login, Pingresp, Puback, Suback
from edgestream_connectors.mqtt.protocol import Block, Event, Failed, Protocol, unpack
from tests.connectors.mqtt.packets_for_tests import (
    CONNACK_5,
    connected,
    fed,
    length,
    published,
)

SUBACK = b"\x90\x04\x00\x01\x00\x01"
PUBACK = b"\x40\x02\x00\x07"
PONG = b"\xd0\x00"
STREAM = (
    published(b"a/b", b"one", 1)
    + PONG
    + published("a/ü".encode(), b"", 2, properties=b"\x03\x00\x01x", retain=True)
    + SUBACK
    + published(b"a", b"x" * 200)
    + PUBACK
    + published(b"a", b"y" * 20_000, 65_535, properties=b"\x26\x00\x01n" + b"\x00\xc8" + b"v" * 200)
    + published(b"a", b"again", 3, dup=True)
)
TOPICS = [b"a/b", "a/ü".encode(), b"a", b"a", b"a"]
PAYLOADS = [b"one", b"", b"x" * 200, b"y" * 20_000, b"again"]
ACKS = b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\xff\xff\x40\x02\x00\x03"


@pytest.fixture(scope="module", autouse=True, params=[bulk.MANY, 1])
def _many(request: pytest.FixtureRequest) -> Iterator[None]:
    """Packet by packet, and all that are found at once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bulk, "MANY", request.param)
        yield


def check(events: list[object]) -> None:
    *others, block = events
    assert others == [Pingresp(), Suback(1, (1,)), Puback(7)]
    assert isinstance(block, Block)
    assert block.messages.topics == TOPICS
    assert block.messages.payloads == PAYLOADS
    assert block.acks == ACKS
    assert block.messages.again
    assert block.raw == STREAM.replace(PONG, b"").replace(SUBACK, b"").replace(PUBACK, b"")
    assert unpack(block.raw, v5=True) == block.messages


def test_a_read_is_one_block() -> None:
    check(fed(connected(), [STREAM]))


def test_byte_by_byte() -> None:
    check(fed(connected(), [STREAM[i : i + 1] for i in range(len(STREAM))]))


def test_every_split_in_two() -> None:
    points = [*range(1, 400), *range(len(STREAM) - 400, len(STREAM))]
    for point in points:
        check(fed(connected(), [STREAM[:point], STREAM[point:]]))


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_splits(points: list[int]) -> None:
    bounds = [0, *sorted(points), len(STREAM)]
    parts = [STREAM[a:b] for a, b in pairwise(bounds)]
    check(fed(connected(), parts))


def test_the_raw_bytes_are_the_read_itself_where_it_holds_nothing_else() -> None:
    data = published(b"a", b"1", 1) + published(b"a", b"2", 2)
    (block,) = connected().receive(data)
    assert isinstance(block, Block)
    assert block.raw is data


messages = st.tuples(
    st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1),
    st.binary(max_size=300),
    st.integers(0, 65_535),
    st.booleans(),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(messages, min_size=1), st.booleans())
def test_any_messages(sent: list[tuple[str, bytes, int, bool, bool]], v5: bool) -> None:
    data = b"".join(
        published(topic.encode(), payload, ident, v5=v5, dup=dup and ident > 0, retain=retain)
        for topic, payload, ident, dup, retain in sent
    )
    (block,) = connected(v5=v5).receive(data)
    assert isinstance(block, Block)
    assert block.messages.topics == [topic.encode() for topic, *_ in sent]
    assert block.messages.payloads == [payload for _, payload, *_ in sent]
    idents = [ident for _, _, ident, *_ in sent if ident]
    assert block.messages.ids == [ident.to_bytes(2, "big") for ident in idents]
    assert block.messages.again == any(dup and ident for _, _, ident, dup, _ in sent)


BROKEN = {
    "QoS 2": (b"\x34\x06\x00\x01a\x00\x01\x00", "QoS 2"),
    "QoS 3": (b"\x36\x06\x00\x01a\x00\x01\x00", "QoS 3"),
    "DUP at QoS 0": (b"\x38\x04\x00\x01a\x00", "QoS 0 is marked as sent before"),
    "packet id 0": (
        published(b"a", b"x", 1).replace(b"\x00\x01\x00x", b"\x00\x00\x00x"),
        "id is 0",
    ),
    "topic past the end": (b"\x30\x04\x00\x09a\x00", "ends within the topic"),
    "topic length cut": (b"\x30\x01\x00", "length of the topic"),
    "nothing in it": (b"\x30\x00", "length of the topic"),
    "no packet id": (b"\x32\x03\x00\x01a", "packet id"),
    "no property length": (b"\x30\x03\x00\x01a", "property length"),
    "properties past the end": (b"\x30\x04\x00\x01a\x05", "ends within the properties"),
    "long properties past the end": (b"\x30\x05\x00\x01a\x80\x02", "ends within the properties"),
    "property length too long": (b"\x30\x05\x00\x01a\x81\x00", "longer than it need"),
    "property length of 5 bytes": (b"\x30\x08\x00\x01a\xff\xff\xff\xff\x01", "more than four"),
    "packet length of 5 bytes": (b"\x30\xff\xff\xff\xff\x01", "more than four bytes"),
    "packet length too long": (b"\x30\x84\x00\x00\x01a\x00", "more bytes than it need"),
    "empty topic": (published(b"", b"x"), "topic is empty"),
    "topic with a wildcard": (published(b"a/+", b"x"), "wildcard"),
    "topic with NUL": (published(b"a\0b", b"x"), "NUL"),
    "topic that is not UTF-8": (published(b"a\xff", b"x"), "not UTF-8"),
    "topic with a surrogate": (published(b"a\xed\xa0\x80", b"x"), "not UTF-8"),
    "too large": (b"\x30\xff\xff\xff\x7f", "268435455 bytes came, 1048576 are allowed"),
    "too large, another kind": (b"\x90\xff\xff\xff\x7f", "1048576 are allowed"),
    "second CONNACK": (CONNACK_5, "0x20"),
    "reserved type": (b"\x00\x00", "0x00"),
    "a client's packet": (b"\xc0\x00", "does not belong here"),
    "flags": (b"\xd1\x00", "reserved flags"),
    "PINGRESP with a body": (b"\xd0\x01x", "does not belong here"),
    "PUBACK id 0": (b"\x40\x02\x00\x00", "packet id is 0"),
    "PUBACK cut": (b"\x40\x01\x00", "PUBACK: the packet ends within the packet id"),
    "SUBACK cut": (b"\x90\x03\x00\x01\x05", "SUBACK: the packet ends within the properties"),
    "unknown property": (b"\x90\x06\x00\x01\x02\x7f\x00\x00", "property 0x7F"),
    "property twice": (b"\x90\x0b\x00\x01\x08\x1f\x00\x01a\x1f\x00\x01b", "stands twice"),
    "bytes too many": (b"\x40\x05\x00\x01\x00\x00\x00", "too many"),
}


@pytest.mark.parametrize(("data", "words"), BROKEN.values(), ids=BROKEN)
def test_broken_packets_are_named(data: bytes, words: str) -> None:
    good = published(b"a", b"good", 9)
    for parts in ([good + data + good], [good, data, good], [good[:3], good[3:] + data]):
        protocol = connected()
        events = fed(protocol, parts)
        failed = [event for event in events if isinstance(event, Failed)]
        assert len(failed) == 1, events
        assert words in failed[0].message, failed[0].message
        blocks = [event for event in events if isinstance(event, Block)]
        assert [block.messages.payloads for block in blocks] == [[b"good"]]
        assert blocks[0].raw == good
        assert blocks[0].acks == b"\x40\x02\x00\x09"
        assert protocol.receive(good) == []


def test_a_bad_message_does_not_take_its_neighbours_with_it() -> None:
    """Also where topics come that were never seen, and a packet id of 0 stands later."""
    bad_topic, bad_id = published(b"\xff", b"x"), BROKEN["packet id 0"][0]
    data = published(b"n/1", b"1") + published(b"n/2", b"2", 5) + bad_topic + bad_id
    block, failed = connected().receive(data)
    assert isinstance(block, Block)
    assert block.messages.payloads == [b"1", b"2"]
    assert isinstance(failed, Failed)
    assert "UTF-8" in failed.message


def test_a_bad_first_message_leaves_no_block() -> None:
    (failed,) = connected().receive(published(b"#", b"x", 1))
    assert isinstance(failed, Failed)


def test_the_smallest_limit_counts_the_length() -> None:
    data = published(b"a", b"x" * 1100)
    (failed,) = connected(max_packet=1024).receive(data)
    assert isinstance(failed, Failed)
    (block,) = connected(max_packet=1104).receive(data)
    assert isinstance(block, Block)


def ends(events: list[Event]) -> list[Event]:
    """What does not depend on how much of a read stands behind a broken message."""
    return [event for event in events if isinstance(event, Block | Failed)]


def parts(messages: Messages) -> tuple[list[bytes], list[bytes], list[bytes]]:
    return messages.payloads, messages.topics, messages.ids


@pytest.mark.parametrize("seed", range(40))
def test_anything_may_come(seed: int) -> None:
    """Random damage: never an exception, never a message that the plain reading does not see."""
    rng = random.Random(seed)
    for _ in range(50):
        data = bytearray(STREAM[:700])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        del data[rng.randrange(len(data)) :]
        v5 = rng.random() < 0.8
        whole = fed(connected(v5=v5), [bytes(data)])
        point = rng.randrange(len(data) + 1)
        split = fed(connected(v5=v5), [bytes(data[:point]), bytes(data[point:])])
        assert ends(split) == ends(whole)
        for event in whole:
            if isinstance(event, Block):
                again = unpack(event.raw, v5=v5)
                assert (again.payloads, again.topics, again.ids) == parts(event.messages)
                assert event.messages.again >= again.again


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    fed(connected(), [data])
    fed(Protocol(Login("x")), [data])


class TestConnack:
    def test_before_anything_else(self) -> None:
        for data in (published(b"a", b"x"), SUBACK, PONG, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            (failed,) = Protocol(Login("x")).receive(data)
            assert isinstance(failed, Failed)
            assert "first packet is not CONNACK" in failed.message

    def test_properties(self) -> None:
        body = (
            b"\x01\x00" + b"\x12\x13\x00\x0a\x21\x00\x14\x24\x01\x27\x00\x10\x00\x00\x12\x00\x02id"
        )
        (answer,) = Protocol(Login("x")).receive(b"\x20" + length(len(body)) + body)
        assert isinstance(answer, Connack)
        assert answer.session_present
        assert answer.code == 0
        assert answer.limit("server_keep_alive", 30) == 10
        assert answer.limit("receive_maximum", 65_535) == 20
        assert answer.limit("maximum_packet_size", 0) == 0x100000
        assert answer.limit("topic_alias_maximum", 0) == 0
        assert answer.properties.texts["assigned_client_id"] == "id"

    @pytest.mark.parametrize(
        ("old", "new"), [(1, 0x84), (2, 0x85), (3, 0x88), (4, 0x86), (5, 0x87)]
    )
    def test_codes_of_311_are_those_of_5(self, old: int, new: int) -> None:
        data = b"\x20\x02\x00" + bytes((old,))
        assert Protocol(Login("x", v5=False)).receive(data) == [Connack(False, new)]

    def test_a_broker_that_knows_only_311_answers_a_client_of_5(self) -> None:
        (answer,) = Protocol(Login("x")).receive(b"\x20\x02\x00\x01")
        assert answer == Connack(False, 0x84)

    def test_reserved_flags(self) -> None:
        (failed,) = Protocol(Login("x")).receive(b"\x20\x03\x02\x00\x00")
        assert isinstance(failed, Failed)


def test_goodbye() -> None:
    assert connected().receive(b"\xe0\x00") == [Goodbye(0)]
    assert connected().receive(b"\xe0\x01\x8e") == [Goodbye(0x8E)]
    said = b"\xe0\x07\x8b\x05\x1f\x00\x02hi"
    assert connected().receive(said) == [Goodbye(0x8B, "hi")]
    (failed,) = connected(v5=False).receive(b"\xe0\x00")
    assert isinstance(failed, Failed)


def test_a_large_packet_in_small_reads_is_collected_once() -> None:
    data = published(b"a", b"x" * 1_000_000, 1)
    parts = [data[i : i + 100] for i in range(0, len(data), 100)]
    (block,) = fed(connected(), parts)
    assert isinstance(block, Block)
    assert block.raw == data
