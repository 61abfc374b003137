from __future__ import annotations

from edgestream_connectors.mqtt.redelivery import REACH, Tail
from tests.connectors.mqtt.packets_for_tests import published


def message(ident: int, payload: bytes, *, dup: bool = False, v5: bool = True) -> bytes:
    return published(b"a/b", payload, ident, dup=dup, v5=v5)


def test_a_message_in_the_journal_is_dropped_once() -> None:
    tail = Tail([(message(1, b"x") + message(2, b"y"), True)])
    assert len(tail) == 2
    again = message(2, b"y", dup=True)
    assert tail.without_known(again + message(3, b"z", dup=True), True) == (
        message(3, b"z", dup=True),
        1,
    )
    assert tail.without_known(again, True) == (again, 0)


def test_what_differs_is_new() -> None:
    tail = Tail([(message(1, b"x"), True)])
    for packet in (
        message(1, b"x"),  # not marked as sent before: an equal reading, not a redelivery
        message(2, b"x", dup=True),
        message(1, b"y", dup=True),
        published(b"a/c", b"x", 1, dup=True),
    ):
        assert tail.without_known(packet, True) == (packet, 0)


def test_only_the_last_message_of_an_id_counts() -> None:
    """An id is used again only when its message was acknowledged: the broker has forgotten it."""
    tail = Tail([(message(1, b"old"), True), (message(1, b"new"), True)])
    old, new = message(1, b"old", dup=True), message(1, b"new", dup=True)
    assert tail.without_known(old + new, True) == (old, 1)


def test_qos_0_is_not_remembered() -> None:
    assert len(Tail([(published(b"a", b"x"), True)])) == 0
    assert len(Tail([])) == 0


def test_mqtt_311() -> None:
    tail = Tail([(message(1, b"x", v5=False), False)])
    assert tail.without_known(message(1, b"x", dup=True, v5=False), False) == (b"", 1)


def test_only_the_last_messages_are_remembered() -> None:
    old = message(65_535, b"old")
    later = b"".join(message(i % 60_000 + 1, b"%d" % i) for i in range(REACH))
    tail = Tail([(old, True), (later, True)])
    assert tail.without_known(message(65_535, b"old", dup=True), True)[1] == 0
    assert tail.without_known(message(60_000, b"59999", dup=True), True)[1] == 1
    assert len(tail) == 59_999
