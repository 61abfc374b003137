"""Payloads made of JSON.

Payloads are never joined to be read as lines. Counting lines and objects is no guard: of
``{"a":1} {"a":2}``, ``{"x":[``, ``{"a":3}`` and ``]}{"a":4}`` four lines give four objects, and
the third, an honest one, is gone. To know that each payload begins and ends an object costs as
much as joining saves (1,000 payloads: 16 ns of 240 each; 10: it takes twice as long).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from edgestream.codecs.json_spots import names


class JsonForm:
    """One JSON object a payload."""

    codec = "json"

    def __init__(self, max_payload: int) -> None:
        """Payloads of more bytes than ``max_payload`` are not read."""
        self._max_payload = max_payload
        self._syntax = msgspec.json.Decoder(msgspec.defstruct("Object", [])).decode
        self._loads = json.JSONDecoder(parse_int=_whole).decode

    def decoder(self, row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
        """What reads a payload as a row, or refuses it."""
        return msgspec.json.Decoder(row).decode

    def clean(self, chunk: Sequence[bytes]) -> bool:
        """Whether all payloads are UTF-8 and none is too large.

        The decoder would not notice bad text in fields that are not read.
        """
        text = b"\n".join(chunk)
        if len(text) > self._max_payload and max(map(len, chunk)) > self._max_payload:
            return False
        return text.isascii() or is_utf8(text)

    def check(self, payload: bytes) -> None:
        """Raise ValueError for a payload that is too large, empty or not UTF-8."""
        self._text(payload)

    def object(self, payload: bytes) -> dict[str, Any]:
        """A payload as a dict; ValueError if it is none."""
        text = self._text(payload)
        try:
            if not payload.lstrip().startswith(b"{"):
                msgspec.json.decode(payload)
                raise ValueError(_no_object(text.strip()))
            self._syntax(payload)
            value = self._loads(text)
        except msgspec.DecodeError as error:
            what = str(error).removeprefix("JSON is malformed: ")
            raise ValueError(f"not JSON: {what[:1].lower()}{what[1:]}") from None
        except RecursionError:
            raise ValueError("nested too deep to be read") from None
        assert isinstance(value, dict)
        return value

    def names(self, payload: bytes) -> Iterable[str]:
        """The names of all columns that a payload could give."""
        return names(self.object(payload))

    def _text(self, payload: bytes) -> str:
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        if not payload.strip():
            raise ValueError("the payload is empty")
        try:
            return payload.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"not UTF-8: byte 0x{payload[error.start]:02x} (byte {error.start})"
            ) from error


def is_utf8(raw: bytes) -> bool:
    """Whether bytes are text."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _whole(digits: str) -> int | float:
    """A whole number; infinity where it has more digits than any float."""
    if len(digits) <= 400:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf


def _no_object(text: str) -> str:
    if text.startswith("["):
        return "a list at the top: send its objects one by one, each as a payload of its own"
    shown = "a text" if text.startswith('"') else text[:40]
    return f"{shown} at the top, not an object with named fields"
