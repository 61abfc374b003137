from __future__ import annotations

import math

import numpy as np
import pytest

from edgestream import Batch, ConfigError, Schema, from_rows
from edgestream_connectors.mqtt import MqttSink
from edgestream_connectors.mqtt.template import Template

ROWS = from_rows([{"device": "d1", "n": 3, "t": 21.5, "ok": True}, {"device": "d2", "n": 4}])


def test_values_of_every_kind() -> None:
    topics, refused = Template.of("x/{device}/{n}").topics(ROWS)
    assert (topics, refused) == ([b"x/d1/3", b"x/d2/4"], {})
    assert Template.of("{t}").topics(ROWS) == (
        [b"21.5", b""],
        {1: "the topic needs t, which is missing"},
    )
    stamps = np.array(["2026-01-02T03:04:05"], "datetime64[us]")
    batch = Batch({"at": stamps, "ok": np.array([True])}, np.zeros(1, np.int64))
    assert Template.of("{at}-{ok}").topics(batch)[0] == [b"2026-01-02T03:04:05Z-true"]


def test_without_columns() -> None:
    assert Template.of("plain/topic").topics(ROWS) == ([b"plain/topic"] * 2, {})


@pytest.mark.parametrize(
    "value",
    ["a/b", "+", "#", "a+", "", "\0", "a\nb", "\x7f", "\x85", "\ud800", "\ufffe", None, math.nan],
)
def test_what_cannot_stand_in_a_topic_is_refused(value: object) -> None:
    rows = from_rows([{"device": value, "n": 1}, {"device": "fine", "n": 2}])
    if isinstance(value, float):
        rows = from_rows([{"device": value, "n": 1}, {"device": 1.0, "n": 2}])
    topics, refused = Template.of("alerts/{device}").topics(rows)
    assert set(refused) == {0}
    assert "device" in refused[0]
    assert topics[0] == b""
    assert topics[1].startswith(b"alerts/")


def test_no_row_may_begin_a_topic_with_a_dollar() -> None:
    rows = from_rows([{"device": "$SYS"}, {"device": "a$"}])
    topics, refused = Template.of("{device}/x").topics(rows)
    assert set(refused) == {0}
    assert topics[1] == b"a$/x"
    assert Template.of("$SYS/{device}").topics(from_rows([{"device": "x"}]))[1] == {}


def test_too_long() -> None:
    assert set(Template.of("{a}/x").topics(from_rows([{"a": "é" * 32_768}]))[1]) == {0}


@pytest.mark.parametrize("text", ["", "a/+", "a/#/b", "a/{b", "a/{}", "a/b}", "\0"])
def test_bad_templates(text: str) -> None:
    with pytest.raises(ValueError, match=r"topic"):
        Template.of(text)


def test_unknown_columns_are_found_at_load() -> None:
    sink = MqttSink(url="mqtt://localhost", topic="a/{devise}")
    sink.accepts(Schema.unknown(), ())
    with pytest.raises(ConfigError, match="did you mean 'device'"):
        sink.accepts(Schema.of_kinds({"device": "string"}), ())


@pytest.mark.parametrize("text", ["a\ud800", "a\n{b}", "a\0", "\x85"])
def test_a_topic_that_cannot_be_written_is_refused_at_load(text: str) -> None:
    with pytest.raises(ValueError, match=r"wildcard|control characters"):
        Template.of(text)
