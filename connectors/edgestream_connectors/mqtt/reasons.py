"""Reason codes of MQTT in words, with what to do about them."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS: Mapping[int, str] = {
    0x00: "normal end",
    0x04: "disconnected with will",
    0x10: "no matching subscribers",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "this version of MQTT is not supported",
    0x85: "the client id is not valid",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x88: "the server is unavailable",
    0x89: "the server is busy",
    0x8A: "banned",
    0x8B: "the server is shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout",
    0x8E: "another client uses the same client id",
    0x8F: "the topic filter is not valid",
    0x90: "the topic name is not valid",
    0x91: "the packet id is in use",
    0x92: "the packet id was not found",
    0x93: "more messages in flight than the receive maximum",
    0x94: "the topic alias is not valid",
    0x95: "the packet is too large",
    0x96: "the message rate is too high",
    0x97: "a quota is exceeded",
    0x98: "administrative action",
    0x99: "the payload format is not valid",
    0x9A: "retained messages are not supported",
    0x9B: "this QoS is not supported",
    0x9C: "use another server",
    0x9D: "the server has moved",
    0x9E: "shared subscriptions are not supported",
    0x9F: "the connection rate is too high",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers are not supported",
    0xA2: "wildcard subscriptions are not supported",
}

_HINTS: Mapping[int, str] = {
    0x84: "try version: '3.1.1'",
    0x85: "set another client_id",
    0x86: "check username and password",
    0x87: "check username and password, and the broker's access list",
    0x8E: "give each worker a client_id of its own",
    0x93: "lower receive_maximum",
    0x95: "see the broker's maximum packet size",
    0x9E: "leave out group",
    0xA2: "name the topics one by one",
}

_OLD_CONNACK: Mapping[int, int] = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}


def reason(code: int, said: str = "") -> str:
    """A reason code in words, what the server ``said`` about it, and what to do."""
    words = _WORDS.get(code, f"reason 0x{code:02X}")
    if said:
        words += f" ({said[:200]!r})"
    return f"{words}; {_HINTS[code]}" if code in _HINTS else words


def from_connack_311(code: int) -> int:
    """The MQTT 5 reason code that says what a return code of MQTT 3.1.1 says."""
    if code == 0 or code >= 0x80:
        return code
    return _OLD_CONNACK.get(code, 0x80)
