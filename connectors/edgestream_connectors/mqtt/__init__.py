"""MQTT 5 and 3.1.1: a source that reads blocks of messages, and a sink.

One connection, from the outside in: `source` and `sink` (what a pipeline names) → `client` (a
connection that waits and keeps alive) → `link` (socket, pace of reading) and `protocol` (bytes to
events and back, no socket) → `publish` (the hot loop), `packets`, `properties`, `wire`.
"""

from edgestream_connectors.mqtt.sink import MqttSink
from edgestream_connectors.mqtt.source import Mqtt

__all__ = ["Mqtt", "MqttSink"]
