"""The columns of messages beside their payloads: topic, retain flag, properties of MQTT 5.

Flag and properties are only made when asked for: the packets are then read a second time, field by
field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream_connectors.mqtt import properties
from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.publish import walk
from edgestream_connectors.mqtt.topics import RETAINED, TopicColumns

CONTENT_TYPE = "content_type"
RESPONSE_TOPIC = "response_topic"
CORRELATION_DATA = "correlation_data"
NAMED = (CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA)
USER = "user."
MAX_USER_COLUMNS = 64
"""Names of user properties taken from one block when all are asked for."""

Values: TypeAlias = dict[str, list[str | None]]


@dataclass(slots=True)
class Columns:
    """Makes the columns of blocks; ``left_out`` counts properties for which there was no room."""

    topics: TopicColumns
    wanted: frozenset[str] | None
    retained: bool
    properties: bool
    left_out: int = 0

    def of(self, raw: bytes, messages: Messages, v5: bool) -> dict[str, Any]:
        """The columns of a block."""
        columns: dict[str, Any] = {}
        if self.topics.asked:
            columns |= self.topics.columns(messages.topics)
        if self.retained and (self.wanted is None or RETAINED in self.wanted):
            columns |= retained(raw, v5)
        if self.properties and v5:
            found, left_out = property_columns(raw, self.wanted)
            columns |= found
            self.left_out += left_out
        return columns


def retained(raw: bytes, v5: bool) -> dict[str, NDArray[np.bool_]]:
    """Which messages were kept by the broker from before."""
    return {RETAINED: np.array([packet.head & 1 for packet in walk(raw, v5)], np.bool_)}


def property_columns(raw: bytes, wanted: frozenset[str] | None) -> tuple[Values, int]:
    """The properties of MQTT 5 messages as columns, and how many user properties had no room.

    Of a user property that a message has twice, the last counts.
    """
    packets = list(walk(raw, v5=True))
    columns: Values = {
        name: [None] * len(packets) for name in NAMED if wanted is None or name in wanted
    }
    room, left_out = len(columns) + MAX_USER_COLUMNS, 0
    for row, packet in enumerate(packets):
        if not packet.properties:
            continue
        for name, value in _named(properties.parse(packet.properties, "PUBLISH")):
            if name not in columns and (wanted is None or name in wanted):
                if len(columns) >= room:
                    left_out += 1
                    continue
                columns[name] = [None] * len(packets)
            if name in columns:
                columns[name][row] = value
    return columns, left_out


def _named(found: properties.Properties) -> Sequence[tuple[str, str]]:
    """Column name and text of each property that a column can hold."""
    named = [(USER + name, value) for name, value in found.user]
    named += [
        (name, found.texts[name]) for name in (CONTENT_TYPE, RESPONSE_TOPIC) if name in found.texts
    ]
    if CORRELATION_DATA in found.binaries:
        named.append((CORRELATION_DATA, found.binaries[CORRELATION_DATA].hex()))
    return named
