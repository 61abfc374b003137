"""Payloads made of CBOR: maps of plain values, read without any of the tags that make objects.

Tags are refused before they do anything: behind them are regular expressions, decimals, numbers of
any size and references that make cycles. ``cbor2`` is imported when the first payload comes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from edgestream.codecs.json_spots import names
from edgestream.codecs.packages import missing

PREFIX = b"\xd9\xd9\xf7"
"""The tag that says no more than that this is CBOR."""
_PAIR = b"\x82"
_MARK = 0xE5_ED_6E_57_9E_A3_C8_D1
_MARKED = b"\x1b" + _MARK.to_bytes(8, "big")


class _NoTags(dict[int, Callable[..., NoReturn]]):
    """Every tag there is, each refused."""

    def __missing__(self, tag: int) -> Callable[..., NoReturn]:
        def refuse(*_: object) -> NoReturn:
            raise ValueError(f"tag {tag} is not read")

        return refuse


def load(payload: bytes, max_depth: int, *, text_keys: bool) -> Any:
    """The one value that a payload is, without tags; ValueError if it is none.

    The decoder reads past whatever follows a value, so the payload is read as the first item of
    an array whose second is a mark.
    """
    try:
        import cbor2  # noqa: PLC0415 - only pipelines that read CBOR need it
    except ImportError as error:
        raise missing("cbor", error) from error
    body = payload.removeprefix(PREFIX)
    if not body:
        raise ValueError("the payload is empty")
    if _MARKED[1:] in body:
        raise ValueError("not CBOR: the mark of its end is in it")
    try:
        items = cbor2.loads(
            _PAIR + body + _MARKED,
            semantic_decoders=_NoTags(),
            max_depth=max_depth + 1,
            strict_hashable_types=text_keys,
        )
    except cbor2.CBORError as error:
        raise ValueError(_reason(error, max_depth)) from None
    except (OverflowError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"not CBOR: {error}") from None
    if items[1] != _MARK or type(items[1]) is not int:
        raise ValueError("not CBOR: something follows the value")
    return items[0]


def plain(name: str, value: Any) -> Any:
    """A JSON value, bytes as hex; NaN and undefined are missing. ValueError for what is none."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(name, item) for item in value]
    if isinstance(value, dict):
        return plain_map(value)
    if type(value).__name__ == "UndefinedType":
        return None
    raise ValueError(f"{name}: a simple value that has no meaning")


def plain_map(value: Mapping[Any, Any]) -> dict[str, Any]:
    """A map with all within as JSON values."""
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if not isinstance(key, str):
            raise ValueError(f"the field name {str(key)[:40]} is not text")
        made[key] = plain(key, inner)
    return made


class CborForm:
    """One CBOR map a payload."""

    codec = "cbor"

    def __init__(self, max_payload: int, max_depth: int) -> None:
        """Larger payloads are not read, and no deeper ones."""
        self._max_payload = max_payload
        self._max_depth = max_depth

    def decoder(self, row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
        """What reads a payload as a row, or refuses it."""
        return lambda payload: msgspec.convert(self.object(payload), row)

    def clean(self, chunk: Sequence[bytes]) -> bool:
        """Every payload is checked as it is read."""
        return True

    def check(self, payload: bytes) -> None:
        """Raise ValueError for a payload that is too large."""
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")

    def object(self, payload: bytes) -> dict[str, Any]:
        """A payload as a dict; ValueError if it is no map."""
        self.check(payload)
        value = load(payload, self._max_depth, text_keys=True)
        if not isinstance(value, dict):
            what = "an array" if isinstance(value, list) else type(value).__name__
            raise ValueError(f"{what} at the top, not a map with named fields")
        return plain_map(value)

    def names(self, payload: bytes) -> Iterable[str]:
        """The names of all columns that a payload could give."""
        with contextlib.suppress(ValueError):
            return list(names(self.object(payload)))
        return ()


def _reason(error: Exception, max_depth: int) -> str:
    cause = error.__cause__ or error
    if "depth" in str(error):
        return f"nested more than {max_depth} deep"
    if str(cause).startswith("tag "):
        return str(cause)
    if isinstance(cause, UnicodeDecodeError):
        return f"not UTF-8: {cause.reason}"
    return f"not CBOR: {cause}"
