from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream import Pieces, dictionary
from edgestream_connectors.mqtt import topics
from edgestream_connectors.mqtt.topics import Pattern, TopicColumns


@pytest.mark.parametrize(
    ("text", "filter_", "names"),
    [
        ("a/b", "a/b", {}),
        ("sensors/{device}/telemetry", "sensors/+/telemetry", {"device": 1}),
        ("{site}/+/{line}/#", "+/+/+/#", {"site": 0, "line": 2}),
        ("$share/g/a/{b}", "$share/g/a/+", {"b": 1}),
        ("/", "/", {}),
        ("#", "#", {}),
    ],
)
def test_patterns(text: str, filter_: str, names: dict[str, int]) -> None:
    assert Pattern.of(text) == Pattern(filter_, names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a topic"),
        ("a\0", "not a topic"),
        ("x" * 65_536, "not a topic"),
        ("a/dev-{id}/b", "whole level"),
        ("a/{b", "whole level"),
        ("a/{b c}", "whole level"),
        ("a/b+", "whole level"),
        ("a/#/b", "last level"),
        ("{a}/{a}", "taken"),
        ("{topic}", "taken"),
        ("{retained}", "taken"),
        ("$share/g", "$share/group/filter"),
        ("$share//a", "$share/group/filter"),
        ("$share/+/a", "$share/group/filter"),
    ],
)
def test_bad_patterns(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("$", r"\$")):
        Pattern.of(text)


@pytest.mark.parametrize(
    ("pattern", "topic", "values"),
    [
        ("a/{b}/c", "a/x/c", {"b": "x"}),
        ("a/{b}/c", "a//c", {"b": ""}),
        ("a/{b}/c", "a/x/d", None),
        ("a/{b}/c", "a/x/c/d", None),
        ("a/{b}/c", "a/x", None),
        ("{a}/#", "x", {"a": "x"}),
        ("{a}/#", "x/y/z", {"a": "x"}),
        ("x/{a}/#", "x", None),
        ("$share/g/{a}/b", "x/b", {"a": "x"}),
    ],
)
def test_match(pattern: str, topic: str, values: dict[str, str] | None) -> None:
    assert Pattern.of(pattern).match(topic) == values


PATTERNS = [Pattern.of("a/{x}/{y}"), Pattern.of("{y}/b")]


def test_columns() -> None:
    columns = TopicColumns(PATTERNS, None).columns([b"a/1/2", b"z/b", b"other", b"a/1/3"])
    assert {name: column.to_list() for name, column in columns.items()} == {
        "topic": ["a/1/2", "z/b", "other", "a/1/3"],
        "x": ["1", None, None, "1"],
        "y": ["2", "z", None, "3"],
    }


@pytest.mark.parametrize(
    ("wanted", "given_"),
    [
        (None, {"topic", "x", "y"}),
        (frozenset({"y", "payload"}), {"y"}),
        (frozenset({"topic"}), {"topic"}),
        (frozenset(), set()),
    ],
)
def test_only_wanted_columns(wanted: frozenset[str] | None, given_: set[str]) -> None:
    assert set(TopicColumns(PATTERNS, wanted).columns([b"a/1/2"])) == given_


def test_codes_keep_their_meaning() -> None:
    coder = TopicColumns(PATTERNS, None)
    first = coder.columns([b"a/1/2", b"a/2/2"])
    second = coder.columns([b"a/2/2", b"a/3/9"])
    assert first["x"].dictionary is second["x"].dictionary
    assert np.array_equal(second["topic"].codes, [1, 2])
    assert second["x"].to_list() == ["2", "3"]


def test_many_topics_begin_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "MAX_TOPICS", 3)
    coder = TopicColumns(PATTERNS, None)
    first = coder.columns([b"a/%d/0" % i for i in range(4)])
    second = coder.columns([b"a/9/0", b"a/0/0"])
    assert first["x"].to_list() == ["0", "1", "2", "3"]
    assert second["x"].to_list() == ["9", "0"]
    assert len(second["topic"].dictionary) == 2


def where_they_lie(texts: list[str]) -> Pieces:
    """Topics as pieces of a read, with something before each and behind the last."""
    raw = [text.encode() for text in texts]
    stops = np.cumsum([1 + len(one) for one in raw])
    sizes = np.array([len(one) for one in raw], np.int64)
    return Pieces(b"".join(b"\0" + one for one in raw) + b"payload" * 9, stops - sizes, stops)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.text(st.sampled_from("abü/"), min_size=1, max_size=12), min_size=1),
            st.booleans(),
        ),
        max_size=4,
    )
)
def test_where_topics_lie_changes_nothing(blocks: list[tuple[list[str], bool]]) -> None:
    coder = TopicColumns(PATTERNS, None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dictionary, "FEW_PIECES", 1)
        for texts, lying in blocks:
            given_ = where_they_lie(texts) if lying else [text.encode() for text in texts]
            columns = coder.columns(given_)
            assert columns["topic"].to_list() == texts
            fits = [next((m for p in PATTERNS if (m := p.match(t))), {}) for t in texts]
            for name in ("x", "y"):
                assert columns[name].to_list() == [fit.get(name) for fit in fits]


def test_topics_of_few_bytes_are_not_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    coder = TopicColumns(PATTERNS, None)
    monkeypatch.setattr(Pieces, "__iter__", None)
    texts = [f"a/{number % 7}/2" for number in range(dictionary.FEW_PIECES)]
    assert coder.columns(where_they_lie(texts))["topic"].to_list() == texts


def test_long_topics_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "FEW_PIECES", 1)
    texts = ["a/" + "long" * 12, "a/1/2"]
    assert TopicColumns(PATTERNS, None).columns(where_they_lie(texts))["topic"].to_list() == texts


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ab/"), max_size=6)))
def test_columns_are_what_matching_each_topic_gives(texts: list[str]) -> None:
    columns = TopicColumns(PATTERNS, None).columns([text.encode() for text in texts])
    assert columns["topic"].to_list() == texts
    fits = [next((m for p in PATTERNS if (m := p.match(t))), {}) for t in texts]
    assert columns["y"].to_list() == [fit.get("y") for fit in fits]
