"""Payloads made of MessagePack: maps, or arrays whose items have names by their place.

The rule: a field that is not read is passed over by its length and not looked at, so that what is
accepted does not depend on whether a payload was read typed or looked at in Python.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from edgestream.codecs.amount import MAX_VALUES, refuse_many
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_spots import names, spellings

Tree: TypeAlias = dict[str, "Tree"]

_ANY = msgspec.msgpack.Decoder()
_ITEMS = msgspec.msgpack.Decoder(list[msgspec.Raw])


class MsgpackForm:
    """One map a payload, or one array where ``items`` are named."""

    codec = "msgpack"

    def __init__(self, layout: Layout, max_payload: int, items: Sequence[str] | None) -> None:
        """Payloads of more bytes than ``max_payload`` are not read."""
        self._layout = layout
        self._max_payload = max_payload
        self._items = items
        self._wanted = _tree(layout.columns)
        self._raw: dict[tuple[str, ...], msgspec.msgpack.Decoder[Any]] = {}

    def decoder(self, row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
        """What reads a payload as a row, or refuses it.

        Lists are looked at in Python, always: there may be bytes in them.
        """
        if any(column.kind == "array" for column in self._layout.columns.values()):
            return lambda payload: msgspec.convert(self.object(payload), row)
        if self._items is not None:
            row = _array_like(row, self._items)
        return msgspec.msgpack.Decoder(row).decode

    def clean(self, chunk: Sequence[bytes]) -> bool:
        """Whether no payload is too large."""
        return len(b"".join(chunk)) <= self._max_payload or not any(
            len(payload) > self._max_payload for payload in chunk
        )

    def check(self, payload: bytes) -> None:
        """Raise ValueError for a payload that is too large or empty."""
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        if not payload:
            raise ValueError("the payload is empty")

    def object(self, payload: bytes) -> dict[str, Any]:
        """The wanted fields of a payload; ValueError if it is no map."""
        self.check(payload)
        try:
            if self._items is not None:
                return self._from_items(self._items, payload)
            if not _is_map(payload):
                raise ValueError(_no_map(_ANY.decode(payload)))
            if self._layout.is_open:
                return _plain_map(_all_of(payload))
            return self._picked(payload, self._wanted, ())
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8: {error.reason}") from None
        except msgspec.MsgspecError as error:
            raise ValueError(_malformed(error)) from None
        except RecursionError:
            raise ValueError("nested too deep to be read") from None

    def names(self, payload: bytes) -> Iterable[str]:
        """The names of all columns that a payload could give."""
        if self._items is not None:
            return self._items
        with contextlib.suppress(msgspec.MsgspecError, RecursionError):
            return names(_plain_map(_ANY.decode(payload), strict=False))
        return ()

    def _from_items(self, items: Sequence[str], payload: bytes) -> dict[str, Any]:
        if not _is_array(payload):
            raise ValueError(_no_array(_ANY.decode(payload)))
        values = _ITEMS.decode(payload)
        if len(values) != len(items):
            raise ValueError(f"{len(values)} items where there are {len(items)} columns")
        return {
            name: _plain(name, _all_of(raw))
            for name, raw in zip(items, values, strict=True)
            if name in self._layout.columns
        }

    def _picked(self, payload: bytes, wanted: Tree, path: tuple[str, ...]) -> dict[str, Any]:
        """The wanted fields of one map; what is wanted of a map that is none is missing."""
        if path not in self._raw:
            fields = [
                (f"f{at}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET)
                for at, _ in enumerate(wanted)
            ]
            rename = {f"f{at}": name for at, name in enumerate(wanted)}
            self._raw[path] = msgspec.msgpack.Decoder(
                msgspec.defstruct("Raws", fields, rename=rename)
            )
        raws = self._raw[path].decode(payload)
        found: dict[str, Any] = {}
        for at, (name, within) in enumerate(wanted.items()):
            raw = getattr(raws, f"f{at}")
            if raw is msgspec.UNSET:
                continue
            here = (*path, name)
            if within and _is_map(raw):
                found[name] = self._picked(raw, within, here)
            elif within and ".".join(here) not in self._layout.columns:
                found[name] = None
            else:
                found[name] = _plain(name, _all_of(raw))
        return found


def _all_of(payload: bytes | msgspec.Raw) -> Any:
    """A value with all within it; ValueError if that is too much to look at."""
    value = _ANY.decode(payload)
    if len(payload) > MAX_VALUES:
        refuse_many(value)
    return value


def _tree(columns: Iterable[str]) -> Tree:
    """The fields that may give columns."""
    root: Tree = {}
    for name in columns:
        for path in spellings(name):
            here = root
            for key in path:
                here = here.setdefault(key, {})
    return root


def _array_like(row: type[msgspec.Struct], items: Sequence[str]) -> type[msgspec.Struct]:
    """A row read from an array; items that are not wanted are passed over."""
    known = {field.encode_name: field for field in msgspec.structs.fields(row)}
    fields = [
        (known[name].name, known[name].type) if name in known else (f"u{at}", msgspec.Raw)
        for at, name in enumerate(items)
    ]
    return msgspec.defstruct("Row", fields, array_like=True, gc=False, forbid_unknown_fields=True)


def _is_map(payload: bytes | msgspec.Raw) -> bool:
    first = bytes(payload[:1]) if isinstance(payload, bytes) else bytes(payload)[:1]
    return b"\x80" <= first <= b"\x8f" or first in (b"\xde", b"\xdf")


def _is_array(payload: bytes) -> bool:
    first = payload[:1]
    return b"\x90" <= first <= b"\x9f" or first in (b"\xdc", b"\xdd")


def _plain_map(value: Mapping[Any, Any], *, strict: bool = True) -> dict[str, Any]:
    """A map with all within as JSON values; those that are none are left out if not strict."""
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if not isinstance(key, str):
            if strict:
                raise ValueError(f"the field name {str(key)[:40]} is not text")
            continue
        if isinstance(inner, dict):
            made[key] = _plain_map(inner, strict=strict)
        else:
            made[key] = _plain(key, inner) if strict else None
    return made


def _plain(name: str, value: Any) -> Any:
    """A JSON value; NaN is missing. ValueError for what JSON has no word for."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list):
        return [_plain(name, item) for item in value]
    if isinstance(value, dict):
        return _plain_map(value)
    what = "bytes" if isinstance(value, bytes) else "an extension type"
    raise ValueError(f"{name}: expected a number, text or a list, got {what}")


def _malformed(error: msgspec.MsgspecError) -> str:
    what = str(error).removeprefix("MessagePack data is malformed: ")
    return f"not MessagePack: {what[:1].lower()}{what[1:]}"


def _no_map(value: object) -> str:
    if isinstance(value, list):
        return "an array at the top; with arrays: true and columns its items have names"
    return f"{type(value).__name__} at the top, not a map with named fields"


def _no_array(value: object) -> str:
    what = "a map" if isinstance(value, dict) else type(value).__name__
    return f"{what} at the top, not an array"
