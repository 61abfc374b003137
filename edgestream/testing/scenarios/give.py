"""From the rows of a test to what its source would have given: payloads with their columns.

A row holds what the pipeline sees. The columns that the source itself gives (a topic, a signal
strength) stand beside the payload, all others are encoded by the source's codec, row by row, so
that what is not written in a row is not in its payload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Batch, Column, as_column, from_micros
from edgestream.component import Codec, Payloads
from edgestream.entry import Entry
from edgestream.errors import ConfigError, Problem, Rejected
from edgestream.eventtime import Time
from edgestream.scenario import Given, Row, offset
from edgestream.schema import ColumnKind

SCALES = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def give(entry: Entry, codec: Codec, given: Given, began: int, now: int) -> Payloads | Batch:
    """What arrives at a source at ``now``; raises `ConfigError` with paths in ``given``.

    ``codec`` encodes and is not that of ``entry``, which decodes.
    """
    if given.payloads:
        columns = _beside(entry, [{}] * len(given.payloads), given)
        return Payloads([_raw(payload) for payload in given.payloads], columns, now)
    rows = [_timed(entry, row, began) for row in given.rows]
    if entry.component.gives_rows:
        made = _columns([{**given.columns, **row} for row in rows], entry.component.schema().fields)
        return Batch(made, np.full(len(rows), now, np.int64))
    own = own_columns(entry)
    beside = [{name: value for name, value in row.items() if name in own} for row in rows]
    inside = [{name: value for name, value in row.items() if name not in own} for row in rows]
    payloads = [_encoded(codec, row, index) for index, row in enumerate(inside)]
    return Payloads(payloads, _beside(entry, beside, given), now)


def own_columns(entry: Entry) -> Mapping[str, ColumnKind]:
    """The columns that a source gives beside its payloads."""
    return entry.component.schema().fields


def written_time(time: Time, moment: int) -> int | float | str:
    """A time in nanoseconds as the column of a source holds it."""
    if time.unit == "iso8601":
        return from_micros(moment // 1000).isoformat().replace("+00:00", "Z")
    scale = SCALES[time.unit or "s"]
    return moment // scale if moment % scale == 0 else moment / scale


def _timed(entry: Entry, row: Row, began: int) -> dict[str, Any]:
    """A row in which ``+3s`` has become a time, if it stands in the time column."""
    made = dict(row)
    field = entry.time.field if entry.time is not None else ""
    distance = offset(made.get(field))
    if entry.time is not None and distance is not None:
        moment = began + distance
        kinds = {**entry.codec.schema().fields, **own_columns(entry)}
        if kinds.get(field) == "time":
            made[field] = np.datetime64(moment // 1000, "us")
        else:
            made[field] = written_time(entry.time, moment)
    return made


def _raw(payload: str | Mapping[str, Any]) -> bytes:
    if isinstance(payload, str):
        return payload.encode()
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _encoded(codec: Codec, row: Row, index: int) -> bytes:
    known = codec.schema()
    whole = row if known.open else {**dict.fromkeys(known.fields), **row}
    batch = Batch(_columns([whole], known.fields), np.zeros(1, np.int64))
    try:
        return codec.encode(batch)[0]
    except ConfigError as error:
        problems = [Problem(found.message, (), found.hint) for found in error.problems]
        raise ConfigError([problem.under("rows", index) for problem in problems]) from error
    except Rejected as error:
        raise ConfigError(Problem(str(error), ("rows", index))) from error


def _beside(entry: Entry, rows: Sequence[Row], given: Given) -> dict[str, Column]:
    """The source's own columns, whole: what was not given is missing."""
    wanted = entry.component.wanted
    known = {
        name: kind
        for name, kind in own_columns(entry).items()
        if wanted is None or name in wanted or name in given.columns
    }
    whole: list[Row] = []
    for index, row in enumerate(rows):
        try:
            whole.append(entry.component.beside({**given.columns, **row}))
        except ConfigError as error:
            path = ("columns",) if given.columns else ("rows", index)
            raise ConfigError([problem.under(*path) for problem in error.problems]) from error
    if wanted is not None:
        whole = [{name: row[name] for name in row if name in known} for row in whole]
    return _columns(whole, known)


def _columns(rows: Sequence[Row], kinds: Mapping[str, ColumnKind]) -> dict[str, Column]:
    names = dict.fromkeys([*(name for row in rows for name in row), *kinds])
    return {name: _column([row.get(name) for row in rows], kinds.get(name)) for name in names}


def _column(values: list[Any], kind: ColumnKind | None) -> Column:
    """Values as the column that a source gives; what is None is missing."""
    missing = any(value is None for value in values)
    if kind == "time":
        return np.array(["NaT" if value is None else value for value in values], "datetime64[us]")
    if any(isinstance(value, str) for value in values):
        return as_column(values)
    if missing and kind in (None, "any", "string") and all(value is None for value in values):
        return as_column(values)
    if missing or kind == "float":
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return as_column(values)
