"""Payloads made of CBOR: maps of plain values, read without any of the tags that make objects.

Tags are refused before they do anything: behind them are regular expressions, decimals, numbers of
any size and references that make cycles. ``cbor2`` is imported when the first payload comes.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from edgestream.codecs.amount import MAX_VALUES, refuse_many
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_spots import Path, names
from edgestream.codecs.packages import missing

PREFIX = b"\xd9\xd9\xf7"
"""The tag that says no more than that this is CBOR."""
_PAIR, _MANY = b"\x82", b"\x9a"
_MARK = 0xE5_ED_6E_57_9E_A3_C8_D1
_MARKED = b"\x1b" + _MARK.to_bytes(8, "big")


class _NoTags(dict[int, Callable[..., NoReturn]]):
    """Every tag there is, each refused."""

    def __missing__(self, tag: int) -> Callable[..., NoReturn]:
        def refuse(*_: object) -> NoReturn:
            raise ValueError(f"tag {tag} is not read")

        return refuse


class Loader:
    """Reads the one value that a payload is, without tags.

    The decoder reads past whatever follows a value, so a payload is read as the first item of an
    array whose second is a mark.
    """

    def __init__(self, max_depth: int, *, text_keys: bool) -> None:
        """``text_keys`` refuses field names that are numbers."""
        self._max_depth = max_depth
        self._options: dict[str, Any] = {
            "semantic_decoders": _NoTags(),
            "max_depth": max_depth + 1,
            "strict_hashable_types": text_keys,
        }
        self._loads: Callable[[bytes], Any] | None = None
        self._errors: tuple[type[Exception], ...] = ()

    def load(self, payload: bytes) -> Any:
        """The value; ValueError if there is none, or more than one."""
        if self._loads is None:
            self._loads = self._begin()
        body = payload.removeprefix(PREFIX)
        if not body:
            raise ValueError("the payload is empty")
        try:
            if _MARKED[1:] in body:
                return self._alone(body)
            value, mark = self._loads(_PAIR + body + _MARKED)
        except self._errors as error:
            raise ValueError(_reason(error, self._max_depth)) from None
        if mark != _MARK or type(mark) is not int:
            raise ValueError("not CBOR: something follows the value")
        return value

    def load_all(self, payloads: Sequence[bytes]) -> list[Any] | None:
        """The values of payloads read together, in a third of the time; None if any is bad.

        Behind each stands the mark. As it stands nowhere else, and comes back after every value,
        no payload has given less or more than one, nor taken from the next.
        """
        if self._loads is None:
            self._loads = self._begin()
        parts = [payload.removeprefix(PREFIX) + _MARKED for payload in payloads]
        whole = b"".join([_MANY, (2 * len(parts)).to_bytes(4, "big"), *parts])
        if whole.count(_MARKED[1:]) != len(parts):
            return None
        try:
            values = self._loads(whole)
        except self._errors:
            return None
        return values[::2] if values[1::2].count(_MARK) == len(parts) else None

    def _alone(self, body: bytes) -> Any:
        """A value in which the mark itself occurs: slower, its end is looked for."""
        import cbor2  # noqa: PLC0415 - it was imported before

        decoder = cbor2.CBORDecoder(io.BytesIO(body), **self._options)
        value = decoder.decode()
        try:
            decoder.read(1)
        except cbor2.CBORDecodeEOF:
            return value
        raise ValueError("something follows the value")

    def _begin(self) -> Callable[[bytes], Any]:
        try:
            import cbor2  # noqa: PLC0415 - only pipelines that read CBOR need it
        except ImportError as error:
            raise missing("cbor", error) from error
        others = (OverflowError, MemoryError, RecursionError, TypeError, ValueError)
        self._errors = (cbor2.CBORError, *others)
        return functools.partial(cbor2.loads, **self._options)


@dataclass(frozen=True, slots=True)
class Strange:
    """A value that JSON has no word for: it fits no column, and does no harm if it is not read."""

    what: str

    def __str__(self) -> str:
        return self.what


def plain(value: Any) -> Any:
    """A JSON value, bytes as hex; NaN and undefined are missing."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return next((item for item in items if isinstance(item, Strange)), items)
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return Strange("a map with field names that are not text")
        return {key: plain(inner) for key, inner in value.items()}
    return None if type(value).__name__ == "UndefinedType" else Strange("a simple value")


class CborForm:
    """One CBOR map a payload."""

    codec = "cbor"

    def __init__(self, layout: Layout, max_payload: int, max_depth: int) -> None:
        """Larger payloads are not read, and no deeper ones."""
        self._layout = layout
        self._max_payload = max_payload
        self._loader = Loader(max_depth, text_keys=True)
        self._load = self._loader.load

    def decoder(self, row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
        """What reads a payload as a row, or refuses it; lists are looked at in Python, always."""
        load = self._load
        if any(column.kind == "array" for column in self._layout.columns.values()):
            return lambda payload: msgspec.convert(self.object(payload), row)
        return lambda payload: msgspec.convert(load(payload), row)

    def rows(self, chunk: Sequence[bytes], row: type[msgspec.Struct]) -> list[Any] | None:
        """Clean payloads as rows, all together; None where each must be read alone."""
        if any(column.kind == "array" for column in self._layout.columns.values()):
            return None
        values = self._loader.load_all(chunk)
        return None if values is None else [msgspec.convert(value, row) for value in values]

    def clean(self, chunk: Sequence[bytes]) -> bool:
        """Whether no payload is so large that it must be checked."""
        return max(map(len, chunk), default=0) <= min(self._max_payload, MAX_VALUES)

    def check(self, payload: bytes) -> None:
        """Raise ValueError for a payload that is too large, in bytes or in values."""
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        if len(payload) > MAX_VALUES:
            refuse_many(self._load(payload))

    def object(self, payload: bytes) -> dict[str, Any]:
        """A payload as a dict; ValueError if it is no map."""
        self.check(payload)
        value = self._load(payload)
        if not isinstance(value, dict):
            what = "an array" if isinstance(value, list) else type(value).__name__
            raise ValueError(f"{what} at the top, not a map with named fields")
        made = {key: plain(inner) for key, inner in value.items() if isinstance(key, str)}
        if self._layout.is_open and len(made) < len(value):
            other = next(key for key in value if not isinstance(key, str))
            raise ValueError(f"the field name {str(other)[:40]} is not text")
        return made if self._layout.is_open else self._without_strange(made, ())

    def _without_strange(self, fields: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Nothing instead of strange values that no column is to hold: they are passed over."""
        made: dict[str, Any] = {}
        for key, value in fields.items():
            here = (*path, key)
            if isinstance(value, dict):
                made[key] = self._without_strange(value, here)
            else:
                passed = isinstance(value, Strange) and self._layout.column_at(here) is None
                made[key] = None if passed else value
        return made

    def names(self, payload: bytes) -> Iterable[str]:
        """The names of all columns that a payload could give."""
        return names(self.object(payload))


def _reason(error: Exception, max_depth: int) -> str:
    cause = error.__cause__ or error
    if "depth" in str(error):
        return f"nested more than {max_depth} deep"
    if str(cause).startswith("tag "):
        return str(cause)
    if isinstance(cause, UnicodeDecodeError):
        return f"not UTF-8: {cause.reason}"
    return f"not CBOR: {cause}"
