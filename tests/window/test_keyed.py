"""Windows whose keys have watermarks of their own, against one plain reference for each key.

A key that slept (its watermark went on with the clock) and comes back may go back to its firm
watermark, but not before what has left. Batches are cut anywhere, restarts come anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Dictionary, Strings
from edgestream.operators.window import Window
from edgestream.packing import decode_state, encode_state
from edgestream.window import running
from edgestream.window.fronts import Reached
from edgestream.window.index import KeyIndex
from tests.window import test_kinds, test_properties
from tests.window.reference import NEVER, SECOND, Row
from tests.window.reference_kinds import after
from tests.window.test_properties import AGGREGATES, batches, to_batch

S = SECOND
ENDED = 2**63 - 1
NAMES = {"source": (("key", "key"),)}


class Clock:
    """What the sources say of keys: the firm watermark, and that with the clock."""

    def __init__(self) -> None:
        self.firm: dict[Any, int] = {}
        self.marks: dict[Any, int] = {}
        self.low = NEVER
        self.ended = False

    def reached(self) -> dict[str, Reached]:
        index = KeyIndex(["key"])
        keys = list(self.firm)
        if keys:
            index.slots(Batch({"key": Strings.of(keys)}, np.zeros(len(keys), np.int64)))
        found = [
            np.array([ENDED if self.ended else one[key] for key in keys], np.int64)
            for one in (self.firm, self.marks)
        ]
        return {"source": Reached(self.low, index, *found)}


class ForKey:
    """The reference of one key, with the watermark that is its own."""

    def __init__(self, reference: Any, late: int, holds: bool, firm: int) -> None:
        self.reference, self.late, self.holds = reference, late, holds
        self.set(firm)
        self.floor = NEVER
        self.held: list[int] = []

    def process(self, row: Row, firm: int) -> bool:
        if row.time < self.reference.watermark:
            back = max(firm, self.floor)
            self.set(min(self.reference.watermark, back))
        if self.holds and row.time >= self.reference.watermark:
            self.held.append(row.time)
        return bool(self.reference.process(row))

    def set(self, watermark: int) -> None:
        for one in (self.reference, getattr(self.reference, "inner", self.reference)):
            one.watermark = watermark

    def advance(self, mark: int) -> list[Any]:
        mark = max(mark, self.reference.watermark)
        out = list(self.reference.advance(mark))
        taken = [after(time) for time in self.held if time < mark]
        self.held = [time for time in self.held if time >= mark]
        left = [result.end + self.late for result in out if result.end <= mark]
        self.floor = max([self.floor, *taken, *left])
        return out


marks = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.integers(-30, 70).map(lambda s: s * S),
        st.sampled_from([0, 0, 0, 3 * S, 20 * S, 60 * S]),
    ),
    max_size=3,
)
lows = st.integers(-30, 70).map(lambda s: s * S)
steps = st.lists(
    st.one_of(
        batches.map(lambda rows: ("rows", rows)),
        batches.map(lambda rows: ("rows", rows)),
        st.tuples(st.just("marks"), marks),
        st.tuples(st.just("marks"), marks),
        st.tuples(st.just("low"), lows),
        st.just(("restart", None)),
    ),
    max_size=14,
)


def made(config: dict[str, Any]) -> Window:
    operator = Window(**config)
    operator.go_by(NAMES)
    return operator


def restarted(operator: Window, config: dict[str, Any], clock: Clock) -> Window:
    stored = encode_state(operator.snapshot())
    fresh = made(config)
    fresh.restore(decode_state(stored))
    fresh.note(clock.reached())
    return fresh


def run(config: dict[str, Any], make: Any, late: int, given_steps: list[Any]) -> None:
    operator, clock = made(config), Clock()
    holds = operator._state()._ordered
    keys: dict[Any, ForKey] = {}
    dictionary = Dictionary()
    published: dict[Any, int] = {}
    for what, step in [*given_steps, ("end", None)]:
        if what == "restart":
            operator = restarted(operator, config, clock)
            continue
        if what == "rows":
            rejected = []
            for at, row in enumerate(step):
                firm = published.get(row.key, NEVER)
                if row.key not in keys:
                    keys[row.key] = ForKey(make(), late, holds, firm)
                if not keys[row.key].process(row, firm):
                    rejected.append(at)
            batch = to_batch(step, dictionary)
            got = [row for port, b in operator.process(batch) for row in b.rows() if port == "late"]
            assert got == batch.take(np.array(rejected, np.intp)).rows()
            continue
        if what == "marks":
            for key, second, silent in step:
                clock.firm[key] = max(clock.firm.get(key, NEVER), second)
                clock.marks[key] = clock.firm[key] + silent
        elif what == "low":
            clock.low = max(clock.low, step)
        else:
            clock.low, clock.ended = ENDED, True
        published = dict(clock.firm)
        out = operator.advance_each(clock.low, clock.reached())
        expected = []
        for key, one in keys.items():
            known = clock.marks.get(key, clock.low)
            expected += one.advance(ENDED if clock.ended else known)
        test_kinds.compare(out, expected)


@pytest.fixture(params=[1, 4096], ids=["placed at once", "placed together"])
def together(request, monkeypatch):
    """How many rows are taken together."""
    monkeypatch.setattr(running, "_ENOUGH", request.param)


SIMPLE = [(kind, late) for kind in test_properties.KINDS for late in (0, 7, 1000)]


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize(("kind", "late"), SIMPLE)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_steps=steps)
def test_each_key_gives_what_its_own_reference_gives(kind, late, given_steps):
    fields, make = test_properties.KINDS[kind]
    config = {**fields, "by": ["key"], "aggregate": AGGREGATES, "late": f"{late}s"}
    run(config, lambda: make(late * S), late * S, given_steps)


@pytest.mark.parametrize("kind", test_kinds.KINDS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_steps=steps)
def test_each_key_of_other_kinds_gives_what_its_own_reference_gives(kind, given_steps):
    fields, make = test_kinds.KINDS[kind]
    late = int(fields.get("late", "0s").replace("1h", "3600s").rstrip("s")) * S
    run({**fields, "by": ["key"], "aggregate": AGGREGATES}, make, late, given_steps)
