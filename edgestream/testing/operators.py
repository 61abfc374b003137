"""What every operator must keep, checked by running it: `check_operator` is the whole kit.

The events of a test are batches and watermarks (integers, ns) in order. However the batches are
cut or joined, and wherever the operator is stopped, saved and restored, the same rows must leave.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from edgestream.batch import Batch, Strings, concat, empty, to_python
from edgestream.component import MAIN, Operator, Outputs, State
from edgestream.eventtime import ENDED, UNKNOWN

Event: TypeAlias = Batch | int
Rows: TypeAlias = Mapping[str, list[dict[str, Any]]]
"""The rows that left, by port; ``""`` is the main output. ``times`` of rows are under ``@time``."""

TIME = "@time"


def run_operator(operator: Operator, events: Iterable[Event]) -> Rows:
    """All rows that leave because of some events, by port, in order; the operator is not copied."""
    left: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        outputs = operator.process(event) if isinstance(event, Batch) else operator.advance(event)
        for port, rows in _rows(operator, outputs):
            left.setdefault(port, []).extend(rows)
    return left


def check_operator(operator: Operator, events: Sequence[Event], *, ordered: bool = True) -> Rows:
    """Hold a fresh operator to all it must keep; gives the rows that leave.

    - what it is given does not change;
    - a batch without rows is accepted, changes nothing and brings nothing;
    - one batch is as good as any cut of it: rows one by one, halves, or joined with its neighbours;
    - no row leaves further behind the watermark than it says (`Operator.behind`), unless rows came
      that were late: the next step would take it for late;
    - a snapshot taken anywhere, written as JSON and arrays and read back, goes on the same, and
      going on does not change the snapshot. An operator without a snapshot must go on without one.

    ``ordered`` false compares rows without their order. Raises AssertionError.
    """
    wanted = _Expected(_run_watched(copy.deepcopy(operator), events), ordered)
    _check_in_time(copy.deepcopy(operator), events)
    _check_empty(operator, events, wanted)
    cuts = {
        "cut into single rows": list(_cut(events, 1)),
        "cut into threes": list(_cut(events, 3)),
        "joined": list(_joined(events)),
    }
    for how, cut in cuts.items():
        wanted.compare(run_operator(copy.deepcopy(operator), cut), f"with batches {how}")
    for part in (events, cuts["cut into threes"]):
        for stop in range(len(part) + 1):
            wanted.compare(_interrupted(operator, part, stop), f"restored after event {stop}")
    return wanted.rows


@dataclass(frozen=True, slots=True)
class _Expected:
    """The rows of the uninterrupted run."""

    rows: Rows
    ordered: bool

    def compare(self, found: Rows, how: str) -> None:
        for port in self.rows.keys() | found.keys():
            mine, theirs = self.rows.get(port, []), found.get(port, [])
            if not self.ordered:
                mine, theirs = sorted(mine, key=repr), sorted(theirs, key=repr)
            name = f"port {port!r}" if port else "the main output"
            assert len(mine) == len(theirs), (
                f"{how}, {len(theirs)} rows leave by {name} instead of {len(mine)}"
            )
            for index, (row, other) in enumerate(zip(mine, theirs, strict=True)):
                assert _same(row, other), f"{how}, row {index} of {name} is {other}, not {row}"


def _rows(operator: Operator, outputs: Outputs) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    for port, batch in outputs:
        known = port in ("", *operator.ports)
        assert known, f"{port!r} is not among the ports {operator.ports}"
        assert len(batch), "an output without rows; leave it out"
        missing = [key for key in batch.keys if key not in batch]
        assert not missing, f"the key columns {missing} are not among the columns"
        times = batch.times.tolist()
        yield (
            port,
            [{**row, TIME: time} for row, time in zip(batch.rows(), times, strict=True)],
        )


def _same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for rounding; a column that is not there is missing."""
    return all(_close(row.get(name), other.get(name)) for name in row.keys() | other.keys())


def _close(value: Any, other: Any) -> bool:
    if isinstance(value, float | int) and isinstance(other, float | int):
        return value == other or math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(value == other)


def _run_watched(operator: Operator, events: Sequence[Event]) -> Rows:
    """The first run: arrays, names and texts of what is given must stay as they are."""
    batches = [event for event in events if isinstance(event, Batch)]
    before = [_content(batch) for batch in batches]
    rows = run_operator(operator, events)
    for batch, content in zip(batches, before, strict=True):
        assert _content(batch) == content, "a batch it was given has changed"
    return rows


def _content(batch: Batch) -> tuple[Any, ...]:
    columns = [
        (name, repr(to_python(column)), _array(column).flags.writeable)
        for name, column in batch.columns.items()
    ]
    return (columns, batch.times.tolist(), batch.times.flags.writeable, batch.keys)


def _array(column: Any) -> Any:
    return column.codes if isinstance(column, Strings) else column


def _check_empty(operator: Operator, events: Sequence[Event], wanted: _Expected) -> None:
    """A batch without rows before every event."""
    first = next((event for event in events if isinstance(event, Batch)), None)
    if first is None:
        return
    nothing = empty(first)
    alone = copy.deepcopy(operator)
    assert not run_operator(alone, [nothing]), "rows leave because of a batch without rows"
    spread = itertools.chain.from_iterable((nothing, event) for event in events)
    wanted.compare(run_operator(copy.deepcopy(operator), spread), "with empty batches between")


def _check_in_time(operator: Operator, events: Iterable[Event]) -> None:
    """What follows has the watermark of before an event when it is given what leaves by it."""
    mark, late, behind = UNKNOWN, ENDED, operator.behind()
    for event in events:
        if isinstance(event, Batch):
            came = int(event.times.min(initial=ENDED))
            late = min(late, came) if came < mark else late
        floor = min(mark, late)
        for row in run_operator(operator, [event]).get(MAIN, []):
            assert row[TIME] >= floor - behind, f"{row} is behind the watermark {floor} by more"
        if not isinstance(event, Batch):
            mark = max(mark, event)


def _cut(events: Iterable[Event], size: int) -> Iterable[Event]:
    for event in events:
        if isinstance(event, Batch):
            yield from (event.take(slice(i, i + size)) for i in range(0, len(event), size))
        else:
            yield event


def _joined(events: Iterable[Event]) -> Iterable[Event]:
    for batches, group in itertools.groupby(events, key=lambda event: isinstance(event, Batch)):
        if batches:
            yield concat([event for event in group if isinstance(event, Batch)])
        else:
            yield from group


def _interrupted(operator: Operator, events: Sequence[Event], stop: int) -> Rows:
    """Run, stop, save, restore in a fresh operator, and go on; the first one goes on too."""
    one, other = copy.deepcopy(operator), copy.deepcopy(operator)
    before = run_operator(one, events[:stop])
    saved = one.snapshot()
    if saved is not None:
        written = write_state(saved)
        other.restore(read_state(written))
    after = run_operator(other, events[stop:])
    if saved is not None:
        run_operator(one, events[stop:])
        assert write_state(saved) == written, f"the snapshot after event {stop} changed later on"
    ports = [*dict.fromkeys([*before, *after])]
    return {port: [*before.get(port, []), *after.get(port, [])] for port in ports}


def write_state(state: State) -> bytes:
    """A snapshot as bytes: its JSON, then its arrays; refuses what a store could not keep."""
    for name, array in state.arrays.items():
        assert isinstance(array, np.ndarray), f"the state {name!r} is not an array"
        assert not array.dtype.hasobject, f"the state {name!r} is an array of Python objects"
    head = {"version": state.version, "meta": state.meta, "names": list(state.arrays)}
    out = io.BytesIO()
    out.write(json.dumps(head, allow_nan=False).encode() + b"\n")
    for array in state.arrays.values():
        np.save(out, array, allow_pickle=False)
    return out.getvalue()


def read_state(written: bytes) -> State:
    """The snapshot that `write_state` wrote."""
    source = io.BytesIO(written)
    head = json.loads(source.readline())
    arrays = {name: np.load(source, allow_pickle=False) for name in head["names"]}
    return State(head["version"], head["meta"], arrays)
