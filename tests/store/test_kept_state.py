"""What every version wrote is read by this one, and goes on to the same rows."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from edgestream import Generate, Json, Stdout, pipeline
from edgestream._version import __version__
from edgestream.component import Operator, State, component
from edgestream.docs.pages import own
from edgestream.errors import ConfigError, DamagedState
from edgestream.graph import build
from edgestream.packing import decode_state
from edgestream.registry import installed
from edgestream.saved import restore, snapshot
from tests.store.kept_state import FOLDER, STEPS, graph, push, text

KEPT = sorted(FOLDER.glob("*/*.json"))
SAME_AFRESH = {"absent", "fill", "sample"}
"""The fleet leaves no gaps: these give the same rows afresh. That their state is read counts."""
ELSEWHERE = {"join": "it has two sides", "explode": "it learns from nested rows", "use": "yours"}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_state_of_every_version_goes_on(path: Path) -> None:
    kept = json.loads(path.read_text())
    made = graph(kept["pipeline"])
    states = {name: decode_state(base64.b64decode(d)) for name, d in kept["states"].items()}
    assert restore(made, states) == []
    assert text(push(made, 100, 60)) == kept["rows"]
    if path.stem not in SAME_AFRESH:
        fresh = graph(kept["pipeline"])
        assert text(push(fresh, 100, 60)) != kept["rows"], "the state makes the difference"


def spoilt(array: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The same array as nobody can have written it."""
    wrong = {
        "of another type": array.astype("f4" if array.dtype != np.float32 else "i8"),
        "of more dimensions": array.reshape(*array.shape, 1),
        "without dimensions": np.array(0, array.dtype),
        "shorter": array[:-1],
    }
    if array.dtype == np.int64:
        wrong["far too large"] = np.full_like(array, 1 << 30)
    return {how: each for how, each in wrong.items() if each.shape != array.shape or len(array)}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_arrays_that_cannot_be_are_refused_or_do_no_harm(path: Path) -> None:
    kept = json.loads(path.read_text())
    states = {name: decode_state(base64.b64decode(d)) for name, d in kept["states"].items()}
    refused = 0
    for name, state in states.items():
        cases = [
            {**state.arrays, key: wrong}
            for key, array in state.arrays.items()
            for wrong in spoilt(array).values()
            if not key.startswith("cell.")
        ]
        cases += [{k: v for k, v in state.arrays.items() if k != key} for key in state.arrays]
        for arrays in cases:
            made = graph(kept["pipeline"])
            try:
                restore(made, {**states, name: replace(state, arrays=arrays)})
            except (ConfigError, DamagedState):
                refused += 1
                continue
            push(made, 100, 10)
            snapshot(made)
    assert DamagedState("").exit_code == 78
    assert refused or not any(state.arrays for state in states.values())


def test_this_version_is_kept_and_every_operator_with_state_is_in_it() -> None:
    assert {path.stem for path in KEPT if path.parent.name == __version__} == set(STEPS)
    covered = {step.partition(":")[0] for step in STEPS.values()}
    found = own(installed())
    with_state = {
        name
        for name in found.names("operator")
        if found.load("operator", name).snapshot is not Operator.snapshot  # type: ignore[attr-defined]
    }
    assert with_state - covered == set(ELSEWHERE) & with_state


@component("counter")
class Counter(Operator):
    """Counts rows; its state was a list once, then a number, now a number with a name."""

    migrations: ClassVar = {
        1: lambda old: State(2, {"n": len(old.meta["rows"])}, {}),
        2: lambda old: State(3, {"count": old.meta["n"]}, {}),
    }

    def process(self, batch):  # type: ignore[no-untyped-def]
        return ()

    def snapshot(self) -> State:
        return State(3, {"count": self.__dict__.get("count", 0)}, {})

    def restore(self, saved: State) -> None:
        assert saved.version == 3
        self.__dict__["count"] = saved.meta["count"]


@pytest.mark.parametrize(
    "saved",
    [State(1, {"rows": [1, 2, 3]}, {}), State(2, {"n": 3}, {}), State(3, {"count": 3}, {})],
)
def test_older_state_is_brought_up_step_by_step(saved: State) -> None:
    made = build(pipeline("p").source(Generate()).step(Counter()).sink(Stdout()).spec(), Json())
    restore(made, {"steps.counter.0": saved})
    assert snapshot(made)["steps.counter.0"].meta == {"count": 3}


def test_a_migration_that_leads_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "migrations", {1: lambda old: old})
    made = build(pipeline("p").source(Generate()).step(Counter()).sink(Stdout()).spec(), Json())
    with pytest.raises(ConfigError, match="leads nowhere"):
        restore(made, {"steps.counter.0": State(1, {}, {})})
