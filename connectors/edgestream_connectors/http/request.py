"""Requests as they are journalled: their payloads, the columns beside them, and their ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import edgestream as es

ID = "(request id)"
"""The column of ids; it goes no further than to where what comes twice is dropped."""
_LEVEL = re.compile(r"\{([A-Za-z_]\w*)\}")
_PLAIN = re.compile(r"[\w.~%!$&'()*+,;=:@-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request: its payloads, the value of each column, and the id of each payload."""

    payloads: Sequence[bytes]
    columns: Mapping[str, str | None]
    ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path whose levels in braces give columns: ``/ingest/{device}``."""

    levels: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Raises ValueError saying what is wrong with it."""
        if not text.startswith("/"):
            raise ValueError(f"a path begins with /, {text!r} does not")
        levels = tuple(text[1:].split("/"))
        for level in levels:
            if not (_LEVEL.fullmatch(level) or _PLAIN.fullmatch(level)):
                raise ValueError(f"{level!r} is neither plain text nor a name in braces")
        return cls(levels)

    @property
    def names(self) -> list[str]:
        """The columns it gives."""
        return [found[1] for level in self.levels if (found := _LEVEL.fullmatch(level))]

    def match(self, path: str) -> dict[str, str] | None:
        """The values of its names where a path fits."""
        levels = path[1:].split("/")
        if len(levels) != len(self.levels):
            return None
        values: dict[str, str] = {}
        for mine, theirs in zip(self.levels, levels, strict=True):
            if name := _LEVEL.fullmatch(mine):
                value = unquote(theirs)
                if not value or not value.isprintable() or "\ufffd" in value:
                    return None
                values[name[1]] = value
            elif mine != theirs:
                return None
        return values


def packed(requests: Sequence[Arrived]) -> bytes:
    """Requests as bytes that frame themselves (msgpack)."""
    import msgspec  # noqa: PLC0415 - only where a pipeline names the source

    return msgspec.msgpack.encode([(r.payloads, r.columns, r.ids) for r in requests])


def payloads(raw: bytes, received: int) -> es.Payloads:
    """The payloads of packed requests, each with its columns and, where there are any, its id."""
    import msgspec  # noqa: PLC0415 - only where a pipeline names the source

    kind = list[tuple[list[bytes], dict[str, str | None], list[str] | None]]
    found = msgspec.msgpack.decode(raw, type=kind)
    bodies = [body for each, _, _ in found for body in each]
    columns: dict[str, Any] = {}
    for name in found[0][1] if found else ():
        texts = [(values.get(name), len(each)) for each, values, _ in found]
        columns[name] = [text for text, count in texts for _ in range(count)]
    if any(ids is not None for _, _, ids in found):
        columns[ID] = [
            ident for each, _, ids in found for ident in (ids if ids else [None] * len(each))
        ]
    return es.Payloads(bodies, columns, received, raw)
