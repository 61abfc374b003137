"""The topic of a message from the columns of its row: ``alerts/{device}``.

Rule: what a row puts in is one piece of a level. It cannot add levels or wildcards, and nothing
that a broker would break the connection for; a row that tries is refused with the reason.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edgestream import Batch, to_python

_FIELD = re.compile(r"\{([^{}]+)\}")
_FORBIDDEN = re.compile("[+#/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_BYTES = 65_535


@dataclass(frozen=True, slots=True)
class Template:
    """A topic with column names in braces; ``literals`` stand around ``names``."""

    literals: Sequence[str]
    names: Sequence[str]

    @classmethod
    @functools.lru_cache(maxsize=64)  # asked for with every batch
    def of(cls, text: str) -> Template:
        """Read a template; raises ValueError saying what is wrong with it."""
        parts = _FIELD.split(text)
        literals, names = parts[::2], parts[1::2]
        plain = "".join(literals)
        if not text:
            raise ValueError("the topic is empty")
        if "+" in plain or "#" in plain or "\0" in plain:
            raise ValueError(f"{text!r}: a topic to publish to holds no wildcard")
        if _UNWRITABLE.search(plain):
            raise ValueError(f"{text!r}: a topic holds no control characters or surrogates")
        if "{" in plain or "}" in plain:
            raise ValueError(
                f"{text!r}: braces in a topic hold a column name, as in alerts/{{device}}"
            )
        return cls(literals, names)

    def topics(self, batch: Batch) -> tuple[list[bytes], dict[int, str]]:
        """The topic of every row, and why a row has none (its topic is then empty)."""
        if not self.names:
            return [self.literals[0].encode()] * len(batch), {}
        columns = [to_python(batch[name]) for name in self.names]
        made: list[bytes] = []
        refused: dict[int, str] = {}
        for row, values in enumerate(zip(*columns, strict=True)):
            try:
                made.append(self._topic(values))
            except ValueError as error:
                refused[row] = str(error)
                made.append(b"")
        return made, refused

    def _topic(self, values: Sequence[Any]) -> bytes:
        topic = self.literals[0]
        for name, value, literal in zip(self.names, values, self.literals[1:], strict=True):
            text = _text(value)
            if not text:
                raise ValueError(
                    f"the topic needs {name}, which is {'missing' if value is None else 'empty'}"
                )
            if _FORBIDDEN.search(text):
                raise ValueError(f"{name} is {text[:80]!r}, which cannot stand in a topic")
            topic += text + literal
        if topic.startswith("$") and not self.literals[0].startswith("$"):
            raise ValueError(f"the topic {topic[:80]!r} would begin with $")
        encoded = topic.encode()
        if len(encoded) > _MAX_BYTES:
            raise ValueError(f"the topic has {len(encoded)} bytes, {_MAX_BYTES} are allowed")
        return encoded


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
