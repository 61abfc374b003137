"""Bodies: what they hold, and what is refused at the door."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream_connectors.http.body import MOST_ROWS, Refused, payloads_of, unpacked
from edgestream_connectors.http.request import ID, Arrived, Pattern, packed, payloads

LIMIT = 10_000
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("kind", "data", "wanted"),
    [
        ("application/json", b'{"a":1}', [b'{"a":1}']),
        ("application/json", b' \n[{"a":1}, {"b":[2]}] ', [b'{"a":1}', b'{"b":[2]}']),
        ("application/json", b"[]", []),
        ("application/x-ndjson", b'{"a":1}\n\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
        ("application/ndjson", b'{"a":1}', [b'{"a":1}']),
        ("application/cbor", b"\xa0", [b"\xa0"]),
    ],
)
def test_what_a_body_holds(kind: str, data: bytes, wanted: list[bytes]) -> None:
    assert payloads_of(data, kind, frozenset({"application/cbor"})).payloads == wanted


@pytest.mark.parametrize(
    ("kind", "data", "status", "words"),
    [
        ("application/json", b"", 400, "empty"),
        ("application/json", b"  \n", 400, "empty"),
        ("application/json", b'{"a":', 400, "truncated"),
        ("application/json", b'{"a":1} x', 400, "trailing"),
        ("application/json", b"5", 400, "object"),
        ("application/json", b'[{"a":1},2]', 400, "item 2"),
        ("application/json", b'{"a":"\xff"}', 400, "UTF-8 from byte 6"),
        ("application/x-ndjson", b'{"a":1}\n{"a":NaN}', 400, "line 2"),
        ("application/x-ndjson", b'{"a":1}\n\n[1]', 400, "line 3"),
        ("application/x-ndjson", b"{}\n" * (MOST_ROWS + 1), 413, "50001 rows"),
        ("text/plain", b"{}", 415, "text/plain"),
        ("", b"{}", 415, "content type"),
        ("application/cloudevents+json", b'{"id":"1"}', 400, "CloudEvent"),
        ("application/cloudevents-batch+json", b'[{"id":"","source":"x"}]', 400, "id has 1"),
    ],
)
def test_what_can_never_be_read_is_refused(kind: str, data: bytes, status: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as told:
        payloads_of(data, kind, NONE)
    assert told.value.status == status


def test_cloud_events_name_themselves() -> None:
    one = b'{"specversion":"1.0","id":"7","source":"/dev/1","data":{"t":1}}'
    assert payloads_of(one, "application/cloudevents+json", NONE).ids == ["ce\0/dev/1\x007"]
    two = payloads_of(b"[%b,%b]" % (one, one), "application/cloudevents-batch+json", NONE)
    assert two.ids == ["ce\0/dev/1\x007"] * 2


def test_gzip_in_one_member_or_several() -> None:
    assert unpacked(gzip.compress(b"abc"), "gzip", LIMIT) == b"abc"
    assert unpacked(gzip.compress(b"abc") + gzip.compress(b"d"), "x-gzip", LIMIT) == b"abcd"
    assert unpacked(b"abc", "identity", LIMIT) == b"abc"


@pytest.mark.parametrize(
    ("data", "encoding", "status"),
    [
        (gzip.compress(b"0" * 50_000_000), "gzip", 413),
        (gzip.compress(b"0" * LIMIT) + gzip.compress(b"0"), "gzip", 413),
        (gzip.compress(b"abc")[:-4], "gzip", 400),
        (b"abc", "gzip", 400),
        (gzip.compress(b"") * 100, "gzip", 400),
        (b"abc", "br", 415),
        (b"abc", "gzip, gzip", 415),
    ],
)
def test_packed_bodies_that_are_refused(data: bytes, encoding: str, status: int) -> None:
    with pytest.raises(Refused) as told:
        unpacked(data, encoding, LIMIT)
    assert told.value.status == status


@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/x-ndjson"]))
def test_noise_is_payloads_or_refused(data: bytes, kind: str) -> None:
    try:
        found = payloads_of(data, kind, NONE).payloads
    except Refused:
        return
    assert all(each[:1] == b"{" for each in found)


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("/", "/", {}),
        ("/ingest/{device}", "/ingest/a%20b", {"device": "a b"}),
        ("/{site}/x/{device}", "/n/x/7", {"site": "n", "device": "7"}),
        ("/ingest/{device}", "/ingest/", None),
        ("/ingest/{device}", "/ingest/a/b", None),
        ("/ingest/{device}", "/ingest/a%0Ab", None),
        ("/ingest/{device}", "/ingest/%ff", None),
        ("/ingest", "/Ingest", None),
        ("/ingest", "//ingest", None),
        ("/ingest", "*", None),
    ],
)
def test_paths(pattern: str, path: str, wanted: dict[str, str] | None) -> None:
    assert Pattern.of(pattern).match(path) == wanted


@pytest.mark.parametrize("text", ["", "ingest", "/a b", "/{a}{b}", "/x?y", "/{}"])
def test_paths_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"/|braces"):
        Pattern.of(text)


def test_requests_are_packed_with_what_belongs_to_them() -> None:
    raw = packed(
        [
            Arrived([b"a", b"b"], {"device": "x"}, ["1", "2"]),
            Arrived([b"c"], {"device": None}),
        ]
    )
    made = payloads(raw, 5)
    assert made.payloads == [b"a", b"b", b"c"]
    assert made.columns == {"device": ["x", "x", None], ID: ["1", "2", None]}
    assert (made.received, made.raw) == (5, raw)
    assert ID not in payloads(packed([Arrived([b"c"], {})]), 5).columns
