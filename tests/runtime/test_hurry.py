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


def made(time: Time = Time("ts"), **window: object) -> Graph:  # noqa: B008 - a value
    step = Window(by="device", aggregate={"n": "count()"}, **window)
    spec = PipelineSpec(
        "test",
        {"source": SourceSpec(Generate(), None, time)},
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
    assert gathering(made(sliding="10s"), [1.0, 2.0, 11.0]) == [SOME, SOME, SOME]


def test_where_rows_pass_nothing_waits_for_windows() -> None:
    graph = made(tumbling="10s")
    graph.entries["source"].targets[""].append("sink")
    assert gathering(graph, [1.0, 9.95]) == [AT_ONCE, AT_ONCE]


def by_device(**window: object) -> Graph:
    return made(Time("ts", delay="0s", by="device"), **window)


def reading(graph: Graph, rows: list[tuple[str, float]]) -> list[float]:
    """How long the source gathers after each row (device, seconds), by the clock of its device."""
    hurry, entry = Hurry(graph), graph.entries["source"]
    found = []
    for device, moment in rows:
        at = int(moment * SECOND)
        batch = Batch({"device": Strings.of([device])}, np.array([at]))
        graph.push("source", batch)
        entry.watermark.see(batch, at, at)
        graph.advance({"source": entry.watermark.value})
        hurry.look()
        found.append(entry.component.gather_for)
    return found


def test_keys_with_watermarks_of_their_own_hurry_before_the_foremost_closes_and_behind_it() -> None:
    rows = [
        ("a", 11.0), ("b", 11.2),  # far
        ("a", 19.9), ("b", 19.95),  # not yet; b is about to close
        ("b", 20.1), ("a", 20.3), ("c", 20.9),  # a and c are awaited for a tenth of 10 s
        ("a", 21.0), ("b", 25.0),  # no more
        ("a", 29.8), ("b", 30.2), ("a", 30.5), ("b", 31.1),  # also where nobody came just before
    ]  # fmt: skip
    expected = [False] * 3 + [True] * 4 + [False] * 3 + [True] * 2 + [False]
    found = reading(by_device(tumbling="10s"), rows)
    assert [seconds == AT_ONCE for seconds in found] == expected


def test_a_device_a_day_behind_does_not_slow_the_others_down() -> None:
    rows = [("b", 86_411.0), ("a", 15.0), ("b", 86_419.95), ("a", 16.0), ("b", 86_420.1)]
    assert reading(by_device(tumbling="10s"), rows)[2:] == [AT_ONCE] * 3


@pytest.mark.parametrize("window", [{"hopping": "1s", "every": "100ms"}, {"tumbling": "500ms"}])
def test_keys_that_close_all_the_time_hurry_nobody(window: dict[str, str]) -> None:
    rows = [("ab"[step % 2], 10 + step / 100) for step in range(300)]
    assert reading(by_device(**window), rows).count(AT_ONCE) <= 15


@pytest.mark.parametrize("window", [{"count": 3}, {"session": "5s"}, {"sliding": "5s"}])
def test_kinds_without_a_grid_hurry_by_key_as_they_do_without(window: dict[str, str]) -> None:
    rows = [("a", step * 0.01) for step in range(100, 900)]
    graph = made(Time("ts", delay="0s"), **window)
    assert reading(by_device(**window), rows) == gathering(graph, [moment for _, moment in rows])


def test_a_window_without_a_known_end_hurries_nobody() -> None:
    assert not any(hurried(made(count=3), [1.0, 1.01, 1.02, 1.03]))
