"""A batch as Redis commands: pure functions.

Rules: what comes from the data is escaped before it becomes part of a key; a row that cannot be
written is refused before anything of it is; of rows with one key the last value of each field
counts, so that a batch costs one command a key.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

import edgestream as es

LONGEST_KEY = 512
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")

Texts: TypeAlias = Sequence[str | None]
Word: TypeAlias = str | int | float

_IN_KEY = re.compile(r"[\x00-\x20\x7f:%{}*?\[\]\\^]")
_LIMITS = ((180.0, "longitude"), (85.05112878, "latitude"))
"""What Redis takes; its map ends before the poles do."""


@dataclass
class Geo:
    """Where positions go: one member a row in a GEO set."""

    key: str = es.option(help="The key; {column} puts in a value.", example="client:{cid}:stops")
    member: str = es.option(help="The member; {column} puts in a value.", example="{name}")
    longitude: str = es.option("longitude", help="The column of the longitude in degrees.")
    latitude: str = es.option("latitude", help="The column of the latitude in degrees.")
    ttl: es.Duration | None = es.option(
        None, minimum=1_000_000, help="The set expires this long after a write."
    )


@dataclass(slots=True)
class Plan:
    """Commands with the rows each stands for, and the rows refused with reasons."""

    size: int
    texts: Mapping[str, Texts]
    commands: list[tuple[list[Word], list[int]]] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: es.Batch) -> Plan:
        """No commands yet; rows with text that is no Unicode are refused."""
        plan = cls(len(batch), {name: texts(column) for name, column in batch.columns.items()})
        for name, column in batch.columns.items():
            if not _unicode(name):
                plan.refuse([text is not None for text in plan.texts[name]], "a name is no Unicode")
            elif isinstance(column, es.Strings):
                bad = column.map(lambda text: not _unicode(text), missing=False, dtype=bool)
                plan.refuse(bad.tolist(), f"{name!r} holds half a surrogate")
        return plan

    def refuse(self, rows: Sequence[bool], why: str) -> None:
        """Refuse the rows that are true, unless another reason came first."""
        for row, bad in enumerate(rows):
            if bad:
                self.reasons.setdefault(row, why)

    def good(self) -> list[int]:
        """The rows that are not refused."""
        return [row for row in range(self.size) if row not in self.reasons]

    def keys(self, template: str) -> Texts:
        """The key of each row; a row that has none, or too long a one, is refused."""
        parts = PLACEHOLDER.split(template)
        columns: list[Texts] = []
        for name in parts[1::2]:
            column = self.texts.get(name, [None] * self.size)
            self.refuse([text is None for text in column], f"{name!r} is missing, its key needs it")
            columns.append([None if text is None else escaped(text) for text in column])
        made: list[str] = []
        for row in range(self.size):
            key = parts[0]
            for column, literal in zip(columns, parts[2::2], strict=True):
                key += (column[row] or "") + literal
            made.append(key)
        long = [len(key) > LONGEST_KEY for key in made]
        self.refuse(long, f"its key would be over {LONGEST_KEY} characters long")
        return made

    def add(self, words: list[Word], rows: list[int]) -> None:
        """One more command."""
        self.commands.append((words, rows))

    def add_hashes(self, keys: Texts, ttl: es.Duration | None) -> None:
        """One HSET a key, with the last value of each field."""
        fields: dict[str | None, dict[str, str]] = defaultdict(dict)
        rows: dict[str | None, list[int]] = defaultdict(list)
        good = self.good()
        for row in good:
            rows[keys[row]].append(row)
        for name, column in self.texts.items():
            for row in good:
                if (text := column[row]) is not None:
                    fields[keys[row]][name] = text
        for key, values in fields.items():
            words = [word for pair in values.items() for word in pair]
            self.add(["HSET", str(key), *words], rows[key])
            self._expire(str(key), ttl, rows[key])

    def add_places(self, geo: Geo, keys: Texts, members: Texts, batch: es.Batch) -> None:
        """One GEOADD a key, with the last place of each member."""
        longitudes, latitudes = (
            np.asarray(batch[n]).tolist() for n in (geo.longitude, geo.latitude)
        )
        places: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
        rows: dict[str, list[int]] = defaultdict(list)
        for row in self.good():
            key = str(keys[row])
            places[key][str(members[row])] = (longitudes[row], latitudes[row])
            rows[key].append(row)
        for key, of_member in places.items():
            words = [word for member, place in of_member.items() for word in (*place, member)]
            self.add(["GEOADD", key, *words], rows[key])
            self._expire(key, geo.ttl, rows[key])

    def add_entries(self, stream: str, maxlen: int | None) -> None:
        """One XADD a row."""
        head: list[Word] = ["XADD", stream]
        head += ["MAXLEN", "~", maxlen, "*"] if maxlen else ["*"]
        columns = list(self.texts.items())
        for row in self.good():
            pairs = ((name, column[row]) for name, column in columns)
            words = [word for name, text in pairs if text is not None for word in (name, text)]
            self.add([*head, *(words or ["", ""])], [row])

    def _expire(self, key: str, ttl: es.Duration | None, rows: list[int]) -> None:
        if ttl is not None:
            self.add(["PEXPIRE", key, es.nanos(ttl) // 1_000_000], rows)


def refuse_off_the_map(plan: Plan, batch: es.Batch, geo: Geo) -> None:
    """Refuse rows without a position, or with one that Redis does not take."""
    for name, (limit, what) in zip((geo.longitude, geo.latitude), _LIMITS, strict=True):
        column = batch.columns.get(name)
        if column is None or isinstance(column, es.Strings) or column.dtype.kind not in "if":
            plan.refuse([True] * plan.size, f"{name!r} is no {what} in degrees")
            continue
        with np.errstate(invalid="ignore"):
            inside = np.abs(column) <= limit
        plan.refuse((~inside).tolist(), f"{name!r} is missing or beyond ±{limit:g} degrees")


def texts(column: es.Column) -> Texts:
    """A column as text, None where missing."""
    if isinstance(column, es.Strings):
        return column.to_list()
    if column.dtype.kind == "M":
        stamps = np.datetime_as_string(column, unit="us", timezone="UTC").tolist()
        return [None if stamp == "NaT" else stamp for stamp in stamps]
    if column.dtype.kind == "b":
        return ["true" if value else "false" for value in column.tolist()]
    if column.dtype.kind == "f":
        return [None if value != value else repr(value) for value in column.tolist()]
    return [str(value) for value in column.tolist()]


def escaped(text: str) -> str:
    """A value as part of a key: no separator, space, control or pattern character is left."""
    return _IN_KEY.sub(lambda match: f"%{ord(match[0]):02X}", text)


def _unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
