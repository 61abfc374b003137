import pytest

from edgestream import Generate, Json, Stdout, count, mean, pipeline
from edgestream.building import Pipeline
from edgestream.component import State
from edgestream.errors import ConfigError
from edgestream.graph import Graph, build
from edgestream.packing import decode_state, encode_state
from edgestream.saved import restore, snapshot
from edgestream.sources.signals import Fleet


def start() -> Pipeline:
    return pipeline("p").source(Generate(devices=2), time="ts")


def graph(made: Pipeline) -> Graph:
    return build(made.sink(Stdout()).spec(), Json())


def filled(made: Pipeline) -> dict[str, State]:
    """The state of a pipeline after a few rows."""
    built = graph(made)
    fleet = Fleet(2, 0, 1_000_000_000)
    built.push("source", fleet.rows(0, 50))
    return {name: decode_state(encode_state(state)) for name, state in snapshot(built).items()}


def test_a_window_keeps_its_state_when_a_step_comes_before_it() -> None:
    states = filled(start().window(tumbling="1h", aggregate={"n": count()}))
    changed = graph(
        start().where("temperature > -99").window(tumbling="1h", aggregate={"n": count()})
    )
    restore(changed, states)
    [(sink, rows)] = changed.advance({"source": 10**18})
    assert (sink, rows.rows()[0]["n"]) == ("sink", 50)


def test_state_of_a_step_that_is_gone_is_refused() -> None:
    states = filled(start().window(tumbling="1h", aggregate={"n": count()}))
    with pytest.raises(ConfigError, match=r"steps.window.0 belongs to no step.*--fresh"):
        restore(graph(start().where("temperature > 0")), states)


def test_state_of_another_configuration_is_refused_with_its_place() -> None:
    states = filled(start().window(tumbling="1h", aggregate={"n": count()}))
    changed = graph(start().window(tumbling="2h", aggregate={"m": mean("temperature")}))
    with pytest.raises(ConfigError) as caught:
        restore(changed, states)
    texts = [str(problem) for problem in caught.value.problems]
    assert any(text.startswith("steps.0.window.tumbling: the saved state is of") for text in texts)
    assert all("--fresh" in text for text in texts)


def test_two_windows_keep_theirs_apart() -> None:
    made = (
        start()
        .window(tumbling="1m", by="device", aggregate={"n": count()})
        .window(tumbling="1h", aggregate={"devices": count()})
    )
    assert {"steps.window.0", "steps.window.1"} <= set(filled(made))


def test_what_a_codec_learnt_is_no_reason_to_refuse() -> None:
    restore(graph(start()), {"source.decode.csv": State(1, {}, {})})
