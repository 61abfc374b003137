import json

import numpy as np
import pytest

import edgestream as es
from edgestream.batch import Batch, Strings
from edgestream.clock import SECOND
from edgestream.codecs.json import Json
from edgestream.component import Operator
from edgestream.eventtime import ENDED
from edgestream.graph import Graph, build
from edgestream.operators.function import Use
from edgestream.operators.interpolate import Interpolate
from edgestream.operators.rename import Rename
from edgestream.operators.set import Set
from edgestream.operators.sort import Sort
from edgestream.operators.where import Where
from edgestream.operators.window import Window
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from tests.runtime.parts import Feed, Memory, Table, Wire


def graph(*steps: Operator) -> Graph:
    """Steps before a sink that takes all columns."""
    return build(
        PipelineSpec(
            "test",
            {"source": SourceSpec(Feed(Wire()))},
            {"steps": StreamSpec(("source",), steps)},
            {"sink": SinkSpec(("steps",), Memory(Table()))},
        ),
        Json(),
    )


@pytest.mark.parametrize(
    ("steps", "payload"),
    [
        ([Set(columns={"t": "number(t)"}), Where("t > 20")], {"t": "21.5"}),
        ([Rename(columns={"code": "t", "t": "was"}), Where("t > 20")], {"code": 21, "t": "n/a"}),
    ],
)
def test_a_column_that_a_step_makes_is_not_asked_of_the_source(
    steps: list[Operator], payload: dict[str, object]
) -> None:
    made = graph(*steps)
    codec = made.entries["source"].codec
    decoded = codec.decode([json.dumps(payload).encode()] * 2)
    assert not decoded.rejected
    arrived = made.push("source", Batch(decoded.columns, np.zeros(2, np.int64)))
    wanted = payload.get("code", 21.5)
    assert [row["t"] for _, batch in arrived for row in batch.rows()] == [wanted] * 2


def test_a_column_that_a_step_makes_is_not_missed() -> None:
    made = graph(Set(columns={"f": "t * 9 / 5 + 32"}), Where("f > 20"))
    codec = made.entries["source"].codec
    codec.decode([b'{"t": 21}'] * 200)
    assert codec.absent == {}
    assert graph(Where("f > 20")).entries["source"].codec.decode([b'{"f": "x"}']).rejected


def test_only_what_nothing_else_can_make_is_missed() -> None:
    @es.operator
    def mark(batch: Batch) -> Batch:
        return batch.with_columns(marked=np.ones(len(batch)))

    use = Use("tests:mark")
    use.bind(mark)
    steps = [Where("t > 20"), use, Where("marked > 0 and u > 0")]
    assert graph(*steps).entries["source"].certain == {"t"}
    steps = [Where("t > 20"), Set(columns={"marked": "t * 2"}), Where("marked > 0 and u > 0")]
    assert graph(*steps).entries["source"].certain == {"t", "u"}


def held(*steps: Operator, rows: list[tuple[int, str]]) -> list[dict[str, object]]:
    """What reaches the sink of rows (second, device) that come one by one, without delay."""
    made, arrived = graph(*steps), []
    for second, device in rows:
        columns = {"device": Strings.of([device]), "x": np.array([float(second)])}
        arrived += made.push("source", Batch(columns, np.array([second * SECOND])))
        arrived += made.advance({"source": second * SECOND})
    arrived += made.advance({"source": ENDED})
    return [row for _, batch in arrived for row in batch.rows()]


COUNTED = Window(tumbling="5s", aggregate={"n": "count()"})


@pytest.mark.parametrize(
    ("step", "counts"),
    [
        (Sort("8s"), [5, 5, 5, 5, 5, 5]),
        (Interpolate("1s", ["x"], by=["device"]), [5, 7, 10, 10, 9, 5]),
        (Window(count=7, by=["device"], aggregate={"x": "sum(x)"}), [1, 1, 1, 2]),
    ],
)
def test_what_a_step_holds_back_is_not_late_for_the_next(step: Operator, counts: list[int]) -> None:
    # The devices take turns: one of them is always far behind the watermark of both.
    rows = [(second, "ab"[second // 8 % 2]) for second in range(30)]
    assert [row["n"] for row in held(step, COUNTED, rows=rows)] == counts
