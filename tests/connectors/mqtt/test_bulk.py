"""Packets found at once: as one by one, whatever comes; and ordinary ones are all found."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream import Pieces
from edgestream_connectors.mqtt import bulk
from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.publish import check_topic, scan
from tests.connectors.mqtt.packets_for_tests import published

LIMIT = 1 << 20


def one_by_one(data: bytes, position: int, v5: bool, limit: int = LIMIT) -> tuple[int, Messages]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bulk, "MANY", len(data) + 1)
        messages = Messages()
        return scan(data, position, messages, v5, limit), messages


def at_once(
    data: bytes, position: int, v5: bool, limit: int = LIMIT, *, loop: bool = True
) -> tuple[int, Messages]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bulk, "MANY", 1)
        messages = Messages()
        reading = scan if loop else bulk.scan
        return reading(data, position, messages, v5, limit), messages


def same(data: bytes, position: int, v5: bool, limit: int = LIMIT) -> Messages:
    stop, messages = at_once(data, position, v5, limit)
    assert (stop, messages) == one_by_one(data, position, v5, limit)
    for topic in messages.topics[: messages.sure]:
        check_topic(topic)
    _, found = at_once(data, position, v5, limit, loop=False)
    if isinstance(found.payloads, Pieces) and found.payloads.printable:
        assert all(32 <= byte <= 127 for payload in found.payloads for byte in payload)
    return messages


def stream(
    count: int, topic: Callable[[int], bytes], payload: Callable[[int], bytes], v5: bool, qos: int
) -> bytes:
    return b"".join(
        published(topic(n), payload(n), (n * 257 + 1) % 65_535 + 1 if qos else 0, v5=v5)
        for n in range(count)
    )


TOPICS: dict[str, Callable[[int], bytes]] = {
    "of devices": lambda n: b"sensors/%04d/telemetry" % n,
    "that end in digits": lambda n: b"s/%d" % n,
    "as long as + is high": lambda n: b"%043d" % n,
    "as long as # is high": lambda n: b"%035d" % n,
}
PAYLOADS: dict[str, Callable[[int], bytes]] = {
    "short": lambda n: b'{"t":%d}' % n,
    "around 127 bytes": lambda n: b"x" * (70 + n % 60),
    "of hundreds of bytes": lambda n: b"0" * (200 + n),
}


@pytest.fixture(params=[(v5, qos) for v5 in (True, False) for qos in (0, 1)])
def kind(request: pytest.FixtureRequest) -> tuple[bool, int]:
    made: tuple[bool, int] = request.param
    return made


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_ordinary_messages_are_all_found(topic: str, payload: str, kind: tuple[bool, int]) -> None:
    v5, qos = kind
    data = stream(300, TOPICS[topic], PAYLOADS[payload], v5, qos)
    stop, found = at_once(data, 0, v5, loop=False)
    assert stop == len(data)
    assert isinstance(found.payloads, Pieces)
    assert found.payloads.printable
    assert found == one_by_one(data, 0, v5)[1]
    assert found.sure == 300
    same(b"before" + data + b"\x30", 6, v5)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (b"a/\xc3\xbc", b"x"),
        (b"a", "°C".encode()),
        (b"a/+", b"x"),
        (b"a/#", b"x"),
        (b"a", b"1e+3"),
        (b"a\0b", b"x"),
        (b"a", b"\0" * 3),
        (b"", b"x"),
        (b"x" * 300, b"x"),
    ],
)
def test_what_may_be_wrong_is_looked_at(
    topic: bytes, payload: bytes, kind: tuple[bool, int]
) -> None:
    v5, qos = kind
    ordinary = stream(40, TOPICS["of devices"], PAYLOADS["short"], v5, qos)
    data = ordinary + published(topic, payload, 7 * qos, v5=v5) + ordinary
    messages = same(data, 0, v5)
    assert len(messages) == 81
    assert messages.sure <= 40


def test_other_first_bytes_properties_and_limits_are_left_to_the_loop(
    kind: tuple[bool, int],
) -> None:
    v5, qos = kind
    ordinary = stream(40, TOPICS["of devices"], PAYLOADS["short"], v5, qos)
    for other in (
        published(b"a", b"x", 7 * qos, v5=v5, retain=True),
        published(b"a", b"x", 7, v5=v5, dup=True),
        published(b"a", b"x", 7 * (1 - qos), v5=v5),
        published(b"a", b"x", 7 * qos, v5=v5, properties=b"\x01\x01" * v5),
        published(b"a", b"x" * 20_000, 7 * qos, v5=v5),
        b"\xd0\x00",
        b"\x30\x80\x00",
    ):
        same(ordinary + other + ordinary, 0, v5)
    big = published(b"a", b"x" * 900, 7 * qos, v5=v5)
    assert len(same(ordinary + big + ordinary, 0, v5, limit=500)) == 40


@pytest.mark.parametrize("seed", range(30))
def test_damage_is_seen_as_by_the_loop(seed: int, kind: tuple[bool, int]) -> None:
    v5, qos = kind
    rng = random.Random(seed)
    whole = stream(60, TOPICS["that end in digits"], PAYLOADS["around 127 bytes"], v5, qos)
    for _ in range(20):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice([0, 0x30, 0x32, rng.randrange(256)])
        del data[rng.randrange(len(data)) :]
        same(bytes(data), 0, v5)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a", b"s/10", b"02", b"\0", "ü".encode(), b"+"]),
            st.one_of(st.binary(max_size=20), st.sampled_from([b"x" * 125, b"0" * 300])),
            st.sampled_from([0, 0, 1, 50, 256, 0x3230]),
        ),
        max_size=12,
    ),
    st.booleans(),
    st.binary(max_size=6),
)
def test_anything(sent: list[tuple[bytes, bytes, int]], v5: bool, tail: bytes) -> None:
    data = b"".join(published(topic, load, ident, v5=v5) for topic, load, ident in sent) + tail
    if data:
        same(data, 0, v5)


def test_a_large_read_is_taken_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch, kind: tuple[bool, int]
) -> None:
    v5, qos = kind
    data = stream(300, TOPICS["of devices"], PAYLOADS["around 127 bytes"], v5, qos)
    monkeypatch.setattr(bulk, "PIECE", 1_000)
    stop, found = at_once(data, 0, v5, loop=False)
    assert stop == len(data)
    assert found.sure == 300
    same(data, 0, v5)


def test_topics_of_several_reads_keep_their_order() -> None:
    data = stream(50, TOPICS["of devices"], PAYLOADS["short"], True, 0)
    single = published(b"single", b"x", retain=True)
    _, first = at_once(data + single, 0, True)
    _, second = at_once(single + data, 0, True)
    wanted = [*one_by_one(data, 0, True)[1].topics, b"single"]
    assert (first.sure, second.sure) == (50, 0)
    first.extend(second)
    assert first.topics == [*wanted, b"single", *wanted[:-1]]
    assert first.sure == 50
    _, third = at_once(data, 0, True)
    _, fourth = at_once(data, 0, True)
    third.extend(fourth)
    assert third.sure == 100
    assert third.topics == 2 * wanted[:-1]
