"""MQTT 5 and 3.1.1: a source that reads blocks of messages, and a sink.

One connection, from the outside in: `source` and `sink` (what a pipeline names) → `client` (a
connection that waits and keeps alive) → `link` (socket, pace of reading) and `protocol` (bytes to
events and back, no socket) → `publish` (the hot loop), `packets`, `properties`, `wire`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgestream_connectors.mqtt.sink import MqttSink
    from edgestream_connectors.mqtt.source import Mqtt

__all__ = ["Mqtt", "MqttSink"]


def __getattr__(name: str) -> Any:
    """Source or sink, imported when a pipeline has it."""
    if name == "Mqtt":
        from edgestream_connectors.mqtt.source import Mqtt  # noqa: PLC0415

        return Mqtt
    if name == "MqttSink":
        from edgestream_connectors.mqtt.sink import MqttSink  # noqa: PLC0415

        return MqttSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
