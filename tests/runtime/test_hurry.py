import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.clock import SECOND
from edgestream.codecs.json import Json
from edgestream.eventtime import Time
from edgestream.graph import Graph, build
from edgestream.operators.window import Window
from edgestream.runtime.hurry import AT_ONCE, LONG, SOME, Hurry
from edgestream.sinks.stdout import Stdout
from edgestream.sources.generate import Generate
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec


def made(**window: object) -> Graph:
    step = Window(by="device", aggregate={"n": "count()"}, **window)
    spec = PipelineSpec(
        "test",
        {"source": SourceSpec(Generate(), None, Time("ts"))},
        {"stream": StreamSpec(("source",), (step,))},
        {"sink": SinkSpec(("stream",), Stdout())},
    )
    return build(spec, Json())


def hurried(graph: Graph, moments: list[float]) -> list[bool]:
    """Whether the source hurries after a row at each of the moments (seconds)."""
    return [seconds == AT_ONCE for seconds in gathering(graph, moments)]


def gathering(graph: Graph, moments: list[float]) -> list[float]:
    """How long the source gathers after a row at each of the moments (seconds)."""
    hurry, source = Hurry(graph), graph.entries["source"].component
    found = []
    for moment in moments:
        at = int(moment * SECOND)
        graph.push("source", Batch({"device": Strings.of(["a"])}, np.array([at])))
        graph.advance({"source": at})
        hurry.look()
        found.append(source.gather_for)
    return found


def test_only_the_moments_before_a_window_closes() -> None:
    moments = [1.0, 9.9, 9.94, 9.95, 9.99, 10.0, 10.01, 15, 19.95, 20.0]
    expected = [False, False, True, True, True, False, False, False, True, False]
    assert hurried(made(tumbling="10s"), moments) == expected


@pytest.mark.parametrize("window", [{"hopping": "1s", "every": "100ms"}, {"tumbling": "500ms"}])
def test_windows_that_close_all_the_time_hurry_nobody(window: dict[str, str]) -> None:
    moments = [10 + step / 100 for step in range(300)]
    assert sum(hurried(made(**window), moments)) <= 10


def test_far_from_the_end_of_a_window_it_gathers_longest() -> None:
    moments = [1.0, 9.74, 9.76, 9.93, 9.95, 10.0]
    assert gathering(made(tumbling="10s"), moments) == [LONG, LONG, SOME, SOME, AT_ONCE, LONG]
    assert gathering(made(count=3), [1.0, 2.0]) == [SOME, SOME]


def test_where_rows_pass_nothing_waits_for_windows() -> None:
    graph = made(tumbling="10s")
    graph.entries["source"].targets[""].append("sink")
    assert gathering(graph, [1.0, 9.95]) == [AT_ONCE, AT_ONCE]


def test_a_window_without_a_known_end_hurries_nobody() -> None:
    assert not any(hurried(made(count=3), [1.0, 1.01, 1.02, 1.03]))
