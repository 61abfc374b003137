"""Topic filters and patterns: checking them, and columns from the topics that come.

A pattern is a topic filter in which a level may be a name in braces: ``sensors/{device}/telemetry``
subscribes to ``sensors/+/telemetry`` and gives the column ``device``. Rule: a topic is taken apart
once, however many messages it has; a message costs one look-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream import Dictionary, Pieces, Strings

TOPIC = "topic"
RETAINED = "retained"
MAX_TOPICS = 65_536
"""Beyond this many different topics the coding starts afresh."""
_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHARE = "$share/"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A topic filter, and the levels that have names."""

    filter: str
    names: Mapping[str, int]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read a pattern; raises ValueError saying what is wrong with it."""
        if not text or "\0" in text or len(text.encode()) > 65_535:
            raise ValueError(
                f"{text[:40]!r} is not a topic: it must hold 1 to 65,535 bytes, no NUL"
            )
        prefix, inner = _shared(text)
        names: dict[str, int] = {}
        levels: list[str] = inner.split("/")
        for index, level in enumerate(levels):
            named = _NAME.fullmatch(level)
            if named:
                if named[1] in names or named[1] in (TOPIC, RETAINED):
                    raise ValueError(f"{text!r}: the name {named[1]!r} is taken; choose another")
                names[named[1]] = index
                levels[index] = "+"
            elif "{" in level or "}" in level:
                raise ValueError(
                    f"{text!r}: a name in braces must be a whole level, as in a/{{b}}/c"
                )
            elif ("+" in level or "#" in level) and level not in ("+", "#"):
                raise ValueError(f"{text!r}: a wildcard must be a whole level, as in a/+/c or a/#")
            elif level == "#" and index < len(levels) - 1:
                raise ValueError(f"{text!r}: the wildcard # must be the last level")
        return cls(prefix + "/".join(levels), names)

    def match(self, topic: str) -> Mapping[str, str] | None:
        """The named levels of a topic; None where it does not fit."""
        wanted, levels = _shared(self.filter)[1].split("/"), topic.split("/")
        if wanted[-1] == "#":
            wanted.pop()
            if len(levels) < len(wanted):
                return None
        elif len(levels) != len(wanted):
            return None
        for want, level in zip(wanted, levels, strict=False):
            if want not in ("+", level):
                return None
        return {name: levels[index] for name, index in self.names.items()}


def _shared(text: str) -> tuple[str, str]:
    """The ``$share/group/`` in front of a filter, and the rest."""
    if not text.startswith(_SHARE):
        return "", text
    group, _, inner = text.removeprefix(_SHARE).partition("/")
    if not group or not inner or any(sign in group for sign in "+#{}"):
        raise ValueError(f"{text!r}: a shared subscription is written $share/group/filter")
    return f"{_SHARE}{group}/", inner


class TopicColumns:
    """The topic column and those of patterns, as codes."""

    def __init__(self, patterns: Sequence[Pattern], wanted: frozenset[str] | None) -> None:
        """Give the ``wanted`` columns (None is all) that ``patterns`` name, and ``topic``."""
        names = dict.fromkeys(name for pattern in patterns for name in pattern.names)
        self._patterns = patterns
        self._names = [name for name in names if wanted is None or name in wanted]
        self._topic = wanted is None or TOPIC in wanted
        self._coded = _Coded(patterns, self._names)

    @property
    def asked(self) -> bool:
        """Whether there are any."""
        return self._topic or bool(self._names)

    def columns(self, topics: Sequence[bytes]) -> dict[str, Strings]:
        """The columns of messages with these topics."""
        if len(self._coded.topics) > MAX_TOPICS:
            self._coded = _Coded(self._patterns, self._names)
        coded = self._coded
        codes = coded.codes(topics)
        made = {TOPIC: Strings(codes, coded.topics)} if self._topic else {}
        return made | {
            name: Strings(level.table()[codes], level.values)
            for name, level in coded.levels.items()
        }


class _Level:
    """A named level: its values, and the code of its value for each topic code."""

    __slots__ = ("_table", "codes", "values")

    def __init__(self) -> None:
        self.values = Dictionary()
        self.codes: list[int] = []
        self._table = np.empty(0, np.int32)

    def table(self) -> NDArray[np.int32]:
        """Topic code → value code."""
        known = len(self._table)
        if known < len(self.codes):
            new = np.array(self.codes[known:], np.int32)
            self._table = np.concatenate((self._table, new))
        return self._table


class _Coded(dict[bytes, int]):
    """Topic → code; a new topic is taken apart when it is first looked up."""

    def __init__(self, patterns: Sequence[Pattern], names: Sequence[str]) -> None:
        super().__init__()
        self._patterns = patterns
        self.topics = Dictionary()
        self.levels = {name: _Level() for name in names}
        self._taken = 0

    def codes(self, topics: Sequence[bytes]) -> NDArray[np.int32]:
        """The code of each topic; topics that are good texts."""
        codes = self.topics.encode_pieces(topics) if isinstance(topics, Pieces) else None
        if codes is None:
            return np.fromiter(map(self.__getitem__, topics), np.int32, len(topics))
        for text in self.topics.values[self._taken :]:
            self._take_apart(text)
        return codes

    def __missing__(self, topic: bytes) -> int:
        text = topic.decode()
        code = int(self.topics.encode((text,))[0])
        if code == self._taken:
            self._take_apart(text)
        self[topic] = code
        return code

    def _take_apart(self, text: str) -> None:
        """The levels of the first topic that was not taken apart yet."""
        self._taken += 1
        fits = (pattern.match(text) for pattern in self._patterns)
        found = next((values for values in fits if values), {})
        for name, level in self.levels.items():
            level.codes.append(int(level.values.encode((found.get(name),))[0]))
