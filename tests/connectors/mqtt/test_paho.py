"""paho-mqtt as the oracle: its packets are ours, byte for byte, and each reads the other's."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgestream_connectors.mqtt import packets, properties, publish
from edgestream_connectors.mqtt.packets import Login
from edgestream_connectors.mqtt.protocol import Block
from tests.connectors.mqtt.packets_for_tests import connected

texts = st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1)


class Recorder(Client):
    """A paho client that keeps the packets it would send."""

    def __init__(self, client_id: str = "me", *, v5: bool = True, clean: bool = True) -> None:
        version = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if v5 else clean,
            protocol=version,
        )
        self._clean_start = clean
        self.packets: list[bytes] = []
        self._sock = BytesIO()  # something open: nothing is ever written to it

    def _packet_queue(self, command, packet, mid, qos, info=None):  # type: ignore[no-untyped-def]
        self.packets.append(bytes(packet))
        return 0


@settings(deadline=None)
@given(texts, st.binary(max_size=20_000), st.integers(0, 65_535), st.booleans(), st.booleans())
def test_publish(topic: str, payload: bytes, ident: int, retain: bool, v5: bool) -> None:
    paho = Recorder(v5=v5)
    paho._send_publish(ident, topic.encode(), payload, 1 if ident else 0, retain)
    ours = publish.encode(topic.encode(), payload, ident, retain=retain, v5=v5)
    assert paho.packets == [ours]
    (block,) = connected(v5=v5).receive(ours)
    assert isinstance(block, Block)
    assert block.messages.topics == [topic.encode()]
    assert block.messages.payloads == [payload]


@settings(deadline=None)
@given(st.lists(st.tuples(texts, texts)), st.binary(min_size=1, max_size=300), texts)
def test_publish_properties(user: list[tuple[str, str]], data: bytes, content: str) -> None:
    said = Properties(PacketTypes.PUBLISH)
    said.UserProperty = user
    said.CorrelationData = data
    said.ContentType = content
    said.MessageExpiryInterval = 7
    paho = Recorder()
    paho._send_publish(5, b"a", b"payload", 1, False, False, None, said)
    (block,) = connected().receive(paho.packets[0])
    assert isinstance(block, Block)
    assert block.messages.payloads == [b"payload"]
    (packet,) = publish.walk(block.raw, True)
    found = publish_properties(packet.properties)
    assert found == (user, data, content, 7)


def publish_properties(data: bytes) -> tuple[object, ...]:
    found = properties.parse(data, "PUBLISH")
    return (
        list(found.user),
        found.binaries["correlation_data"],
        found.texts["content_type"],
        found.numbers["message_expiry"],
    )


@pytest.mark.parametrize("v5", [True, False])
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize(("username", "password"), [(None, None), ("ünna", None), ("a", "pw")])
def test_connect(v5: bool, clean: bool, username: str | None, password: str | None) -> None:
    paho = Recorder("cliënt", v5=v5, clean=clean)
    if username is not None:
        paho.username_pw_set(username, password)
    if v5:
        said = Properties(PacketTypes.CONNECT)
        said.SessionExpiryInterval = 3600
        said.ReceiveMaximum = 65_535
        said.MaximumPacketSize = 1024 * 1024
        paho._connect_properties = said
    paho._send_connect(30)
    ours = packets.connect(
        Login(
            "cliënt",
            v5=v5,
            clean_start=clean,
            session_expiry=3600,
            username=username,
            password=password,
        )
    )
    assert paho.packets == [ours]


@pytest.mark.parametrize("qos", [0, 1])
def test_subscribe(qos: int) -> None:
    filters = ["a/+", "$share/g/ü/#"]
    paho = Recorder()
    options = SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
    paho._send_subscribe(False, [(name.encode(), options) for name in filters])
    assert paho.packets == [packets.subscribe(1, filters, qos, v5=True)]
    old = Recorder(v5=False)
    old._send_subscribe(False, [(name.encode(), qos) for name in filters])
    assert old.packets == [packets.subscribe(1, filters, qos, v5=False)]


def test_acks_pings_and_goodbyes() -> None:
    paho = Recorder()
    for ident in (1, 300, 65_535):
        paho._send_puback(ident)
    paho._send_pingreq()
    paho._send_disconnect()
    data = b"".join(
        publish.encode(b"a", b"", ident, retain=False, v5=True) for ident in (1, 300, 65_535)
    )
    (block,) = connected().receive(data)
    assert isinstance(block, Block)
    assert b"".join(paho.packets) == block.acks + packets.PING + packets.disconnect(v5=True)
