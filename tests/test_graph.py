import json

import numpy as np
import pytest

import edgestream as es
from edgestream.batch import Batch
from edgestream.codecs.json import Json
from edgestream.component import Operator
from edgestream.graph import Graph, build
from edgestream.operators.function import Use
from edgestream.operators.rename import Rename
from edgestream.operators.set import Set
from edgestream.operators.where import Where
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
