import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.codecs import columns as kinds_of_columns
from edgestream.codecs.raw import Raw
from edgestream.errors import ConfigError, Rejected
from edgestream.schema import Schema


@pytest.mark.parametrize(
    ("format_", "payload", "value"),
    [
        ("text", b"hello", "hello"),
        ("text", b"", ""),
        ("text", "ü\n".encode(), "ü\n"),
        ("number", b"21.5", 21.5),
        ("number", b" 21.5\n", 21.5),
        ("number", b"-3", -3.0),
        ("number", b"+.5e1", 5.0),
        ("number", b"007", 7.0),
        ("hex", b"\x00\xff", "00ff"),
        ("base64", b"\x00\xff", "AP8="),
    ],
)
def test_a_payload_is_one_value(format_, payload, value):
    decoded = Raw(format=format_).decode([payload])
    assert to_python(decoded.columns["payload"]) == [value]
    assert decoded.rejected == {}
    kind = "float" if format_ == "number" else "string"
    assert Raw(format=format_, column="v").schema() == Schema.of_kinds({"v": kind})


@pytest.mark.parametrize(
    ("format_", "payload", "reason"),
    [
        ("text", b"caf\xe9", "not UTF-8: byte 0xe9 (byte 3)"),
        ("number", b"caf\xe9", "not UTF-8"),
        ("number", b"", "the payload is empty"),
        ("number", b" ", "expected a number, got ' '"),
        ("number", b"n/a", "expected a number, got 'n/a'"),
        ("number", b"nan", "expected a number"),
        ("number", b"inf", "expected a number"),
        ("number", b"1e400", "expected a number"),
        ("number", b"9" * 5000, "expected a number"),
        ("number", b"9" * 350, "expected a number"),
        ("number", b"1_000", "expected a number"),
        ("number", b"0x10", "expected a number"),
        ("number", b"1 2", "expected a number"),
        ("number", b"1\n2", "expected a number"),
        ("number", "٣".encode(), "expected a number"),
        ("number", b'{"t":1}', "expected a number"),
        ("hex", b"x" * 300_000, "300000 bytes are more than max_payload"),
    ],
)
def test_a_bad_payload_is_rejected_alone(format_, payload, reason):
    decoded = Raw(format=format_).decode([b"1", payload, b"2"])
    assert list(decoded.rejected) == [1]
    assert reason in decoded.rejected[1]
    assert decoded.good.tolist() == [0, 2]
    assert decoded.count == 2


def test_many_numbers_at_once():
    decoded = Raw("number").decode([b"%d.25" % n for n in range(1000)])
    assert decoded.good is None
    assert decoded.columns["payload"].tolist() == [n + 0.25 for n in range(1000)]
    assert Raw("number").decode([]).count == 0


def test_codes_keep_their_meaning_until_the_dictionary_is_full(monkeypatch):
    codec = Raw()
    one, two = (codec.decode([text]).columns["payload"] for text in (b"a", b"b"))
    assert one.dictionary is two.dictionary
    monkeypatch.setattr(kinds_of_columns, "MAX_TEXTS", 1)
    assert codec.decode([b"c"]).columns["payload"].dictionary is not one.dictionary


@pytest.mark.parametrize(
    ("format_", "rows", "payloads"),
    [
        ("text", ["a", None, "ü"], [b"a", b"", "ü".encode()]),
        ("text", [1, 2], [b"1", b"2"]),
        ("number", [1.5, None, -0.0], [b"1.5", b"", b"-0.0"]),
        ("number", [1, 2], [b"1", b"2"]),
        ("number", [True, False], [b"1", b"0"]),
        ("hex", ["00ff", None], [b"\x00\xff", b""]),
        ("base64", ["AP8="], [b"\x00\xff"]),
    ],
)
def test_one_column_is_written(format_, rows, payloads):
    batch = from_rows([{"v": row, "other": 1} for row in rows])
    assert Raw(format=format_, column="v").encode(batch) == payloads


@pytest.mark.parametrize(
    ("format_", "value"),
    [("hex", "0g"), ("base64", "A"), ("number", "x"), ("number", float("inf")), ("hex", 1.5)],
)
def test_what_cannot_be_turned_back_is_rejected(format_, value):
    batch = from_rows([{"payload": value}] * 2)
    with pytest.raises(Rejected) as caught:
        Raw(format=format_).encode(batch)
    assert caught.value.reasons[1] == f"payload: {value!r} is not {format_}"


def test_a_column_that_is_not_there_is_told():
    batch = Batch({"paylod": Strings.of(["a"])}, np.zeros(1, np.int64))
    with pytest.raises(ConfigError, match="did you mean 'paylod'"):
        Raw().encode(batch)
    with pytest.raises(ConfigError, match="needs a name"):
        Raw(column="")


@given(st.lists(st.binary(max_size=20), max_size=5), st.sampled_from(["hex", "base64"]))
def test_bytes_come_back(payloads, format_):
    codec = Raw(format=format_)
    decoded = codec.decode(payloads)
    batch = Batch(decoded.columns, np.zeros(len(payloads), np.int64))
    assert codec.encode(batch) == payloads
    assert format_ == "hex" or decoded.columns["payload"].to_list() == [
        base64.b64encode(payload).decode() for payload in payloads
    ]


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.text("0123456789+-.eE _nx", max_size=6),
)


@given(st.lists(NUMBERS, max_size=8))
def test_numbers_at_once_and_one_by_one_are_the_same(texts):
    block = [text.encode() for text in texts]
    at_once = Raw("number").decode(block)
    alone = [Raw("number").decode([payload, b"?"]) for payload in block]
    assert set(at_once.rejected) == {n for n, one in enumerate(alone) if 0 in one.rejected}
    values = [one.columns["payload"][0] for one in alone if 0 not in one.rejected]
    assert at_once.columns["payload"].tolist() == values
