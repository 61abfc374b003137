"""A source in a graph: its codec, its event time, what names its events, and what it has given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgestream.component import Codec, Source
from edgestream.errors import ConfigError, Problem
from edgestream.eventid import EventId
from edgestream.eventtime import Time, Watermark
from edgestream.schema import ColumnKind, Schema
from edgestream.spec import SourceSpec

if TYPE_CHECKING:
    from edgestream.operators.repeats import Repeats


@dataclass(slots=True)
class Entry:
    """A source with its codec, its clock of event time, and what it feeds."""

    id: str
    component: Source
    codec: Codec
    time: Time | None
    watermark: Watermark
    event_id: EventId | None = None
    ids: dict[str, Repeats] = field(default_factory=dict)
    """What came before: ``payload`` by the source's own names, ``row`` by the event id."""
    targets: dict[str, list[str]] = field(default_factory=dict)
    certain: frozenset[str] = frozenset()
    """Columns that steps use and that nothing but the source can give."""
    rows_out: int = 0
    rejected: int = 0

    @property
    def repeated(self) -> int:
        """Payloads and rows that came again and were dropped."""
        return sum(ids.count for ids in self.ids.values())


def known_ids(source: SourceSpec) -> dict[str, Repeats]:
    """Nothing known yet, of what the source and its ``event_id`` name."""
    named, event_id = source.component.payload_ids(), source.event_id
    if named is None and event_id is None:
        return {}
    from edgestream.operators.repeats import Repeats  # noqa: PLC0415 - few sources need it

    made: dict[str, Repeats] = {}
    if named is not None:
        made["payload"] = Repeats([named.column], named.within, named.most)
    if event_id is not None:
        made["row"] = Repeats(event_id.by, event_id.nanos, event_id.most)
    return made


def columns_given(entry: Entry) -> tuple[Schema, tuple[Problem, ...]]:
    """The columns a source gives with its codec, and what is wrong with its time column."""
    given = entry.component.schema()
    decoded = Schema({}) if entry.component.gives_rows else entry.codec.schema()
    schema = decoded.merge(given).with_fields(given.fields)
    problems: list[Problem] = []
    for name, place in ({} if entry.time is None else entry.time.columns).items():
        try:
            schema.kind(name)
        except ConfigError as error:
            problems += [problem.under("time", place) for problem in error.problems]
    for expression in entry.event_id.expressions() if entry.event_id is not None else ():
        try:
            expression.check(schema)
        except ConfigError as error:
            problems += [problem.under("event_id") for problem in error.problems]
    return schema, tuple(problems)


def demand(entry: Entry, wanted: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
    """Tell source and codec which columns the pipeline uses (None is all), and as what."""
    used = dict(kinds)
    if entry.time is not None and entry.time.kind != "any":
        used = {**dict.fromkeys(entry.time.moments, entry.time.kind), **used}
    naming = _naming(entry)
    used = {**{name: kind for name, kind in naming.items() if kind != "any"}, **used}
    if wanted is not None:
        wanted |= set(naming)
    entry.component.wanted = wanted
    own = frozenset(entry.component.columns) | frozenset(entry.component.schema().fields)
    if wanted is not None:
        wanted = wanted - own
        if entry.time is not None:
            wanted |= entry.time.columns.keys() - own
    entry.codec.want(wanted, {name: kind for name, kind in used.items() if name not in own})


def _naming(entry: Entry) -> Mapping[str, ColumnKind]:
    """The columns that the event id is made of."""
    if entry.event_id is None:
        return {}
    return {
        name: kind
        for expression in entry.event_id.expressions()
        for name, kind in expression.kinds().items()
    }
