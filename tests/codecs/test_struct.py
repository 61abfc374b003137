import math
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.codecs.struct import Struct
from edgestream.errors import ConfigError, Rejected

THREE = {"device": "u32", "ts": "i64", "t": "f32"}
PACK = struct.Struct("<Iqf")


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def test_a_payload_is_a_row():
    block = [PACK.pack(1, 1_700_000_000_000, 20.5), PACK.pack(2**32 - 1, -1, math.nan)]
    decoded = Struct(THREE).decode(block)
    assert rows_of(decoded) == [
        {"device": 1, "ts": 1_700_000_000_000, "t": 20.5},
        {"device": 2**32 - 1, "ts": -1, "t": None},
    ]
    assert decoded.good is None
    kinds = [column.dtype.name for column in decoded.columns.values()]
    assert kinds == ["int64", "int64", "float64"]


def test_no_payloads_give_no_rows():
    decoded = Struct(THREE).decode([])
    assert decoded.count == 0
    assert [len(column) for column in decoded.columns.values()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        ("u8", b"\xff", 255),
        ("i8", b"\xff", -1),
        ("i16", b"\x01\x02", 513),
        ("u64", b"\xff" * 7 + b"\x7f", 2**63 - 1),
        ("f16", b"\x00\x3c", 1.0),
        ("f64", struct.pack("<d", -0.0), -0.0),
        ("bool", b"\x02", True),
        ("s4", b"ab\0\0", "ab"),
        ("s4", b"ab\0z", "ab"),
        ("s4", b"\0\0\0\0", None),
        ("s4", "üß".encode(), "üß"),
        ("h3", b"\xff\x00\x00", "ff0000"),
        ({"type": "i16", "scale": 0.01}, struct.pack("<h", 2155), 21.55),
        ({"type": "u8", "scale": 0.5, "offset": -40}, b"\x03", -38.5),
        ({"type": "i16", "scale": 0.1, "missing": -32768}, struct.pack("<h", -32768), None),
        ({"type": "u8", "missing": 255}, b"\x07", 7.0),
    ],
)
def test_every_type_is_read_and_written(type_, raw, value):
    codec = Struct({"x": type_})
    decoded = codec.decode([raw, raw])
    (column,) = decoded.columns.values()
    assert [repr(one) for one in to_python(column)] == [repr(value)] * 2
    again = codec.encode(Batch({"x": column}, np.zeros(2, np.int64)))
    assert to_python(codec.decode(again).columns["x"]) == [value] * 2
    given = codec.schema().kind("x")
    assert given == (
        "string" if isinstance(column, Strings) else column.dtype.name.rstrip("0123456789")
    )


@pytest.mark.parametrize("order", ["little", "big"])
def test_the_order_of_bytes(order):
    codec = Struct({"a": "u16", "skip": "x1", "b": "i32"}, order=order)
    raw = struct.pack((">" if order == "big" else "<") + "Hxi", 513, -2)
    assert rows_of(codec.decode([raw])) == [{"a": 513, "b": -2}]
    assert codec.encode(from_rows([{"a": 513, "b": -2}])) == [raw]


def test_bits():
    codec = Struct({"flags": {"bits": {"open": 0, "level": "1-3", "top": 15}}})
    decoded = codec.decode([b"\x0b\x00", b"\x04\x80"])
    assert rows_of(decoded) == [
        {"open": True, "level": 5, "top": False},
        {"open": False, "level": 2, "top": True},
    ]
    assert codec.encode(Batch(dict(decoded.columns), np.zeros(2, np.int64))) == [
        b"\x0b\x00",
        b"\x04\x80",
    ]
    with pytest.raises(Rejected) as caught:
        codec.encode(from_rows([{"open": True, "level": 8, "top": False}]))
    assert caught.value.reasons == {0: "level: 8 does not fit in 3 bits"}


@pytest.mark.parametrize("order", ["little", "big"])
def test_bits_of_a_large_number(order):
    codec = Struct(
        {"x": {"type": "u64", "bits": {"low": 0, "high": 63, "mid": "30-40"}}}, order=order
    )
    (raw,) = codec.encode(from_rows([{"low": False, "high": True, "mid": 1025}]))
    assert int.from_bytes(raw, order) == 2**63 + (1025 << 30)
    assert rows_of(codec.decode([raw])) == [{"low": False, "high": True, "mid": 1025}]


def test_many_rows_in_a_payload():
    codec = Struct(THREE, rows="many")
    whole = b"".join(PACK.pack(n, n, n) for n in range(5))
    decoded = codec.decode([whole[:32], b"", whole[32:33], whole[32:], whole[:17]])
    assert decoded.columns["device"].tolist() == [0, 1, 2, 3, 4]
    assert decoded.good.tolist() == [0, 0, 3, 3, 3]
    assert decoded.rejected == {
        1: "0 bytes are not rows of 16 bytes",
        2: "1 bytes are not rows of 16 bytes",
        4: "17 bytes are not rows of 16 bytes",
    }
    assert codec.encode(Batch(dict(decoded.columns), np.zeros(5, np.int64))) == [whole]
    assert codec.encode(Batch(dict(decoded.columns), np.zeros(5, np.int64)).take(slice(0))) == []


def test_a_payload_with_one_bad_row_is_rejected_whole():
    codec = Struct({"name": "s2", "t": "f32"}, rows="many")
    good = struct.pack("<2sf", b"ab", 1)
    bad = struct.pack("<2sf", b"\xff\xff", 1)
    endless = struct.pack("<2sf", b"cd", math.inf)
    decoded = codec.decode([good, good + bad + good, good * 2, endless])
    assert decoded.good.tolist() == [0, 2, 2]
    assert decoded.columns["name"].to_list() == ["ab"] * 3
    assert decoded.rejected == {
        1: "row 2 of 3: name: not UTF-8",
        3: "t: the number is out of range",
    }


def test_a_bad_row_leaves_its_neighbours_alone():
    codec = Struct({"n": "u64", "name": "s1"})
    block = [struct.pack("<Qs", n, b"a") for n in (1, 2**63, 3)] + [
        b"",
        struct.pack("<Qs", 4, b"\xc3"),
    ]
    decoded = codec.decode(block)
    assert rows_of(decoded) == [{"n": 1, "name": "a"}, {"n": 3, "name": "a"}]
    assert decoded.good.tolist() == [0, 2]
    assert decoded.rejected == {
        1: "n: the number is out of range",
        3: "0 bytes where the layout has 9",
        4: "name: not UTF-8",
    }
    assert codec.decode(block[:1]).columns["name"].to_list() == ["a"]


def test_lengths_that_only_together_are_right_are_rejected():
    codec = Struct({"a": "u16"})
    decoded = codec.decode([b"\1", b"\1\2\3", b"\1\2"])
    assert decoded.good.tolist() == [2]
    assert sorted(decoded.rejected) == [0, 1]


def test_only_wanted_columns_are_read():
    codec = Struct({"a": "u8", "b": "f32"})
    codec.want(frozenset({"a"}), {})
    decoded = codec.decode([b"\1" + struct.pack("<f", math.inf)])
    assert rows_of(decoded) == [{"a": 1}]


def test_a_large_payload_is_rejected():
    codec = Struct({"a": "u8"}, rows="many", max_payload="10B")
    assert codec.decode([b"x" * 11]).rejected == {0: "11 bytes are more than max_payload"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs a field"),
        ({"a": "u7"}, "fields.a.type: there is no type 'u7'; known: i8"),
        ({"a": "s0"}, "no type 's0'"),
        ({"a": {"scale": 2}}, "type is missing"),
        ({"a": {"type": "u8", "scale": 0}}, "must be finite, a scale not 0"),
        ({"a": {"type": "s3", "scale": 2}}, "are for numbers"),
        ({"a": {"type": "bool", "offset": 2}}, "are for numbers"),
        ({"a": {"type": "u8", "missing": 256}}, "no such value"),
        ({"a": {"type": "f32", "missing": 0}}, "NaN stands for missing"),
        ({"a": {"bits": {"x": "3-1"}}}, "are no bits"),
        ({"a": {"bits": {"x": "0-63"}}}, "are no bits"),
        ({"a": {"bits": {"x": "one"}}}, "are no bits"),
        ({"a": {"bits": {"x": "0-3", "y": 3}}}, "bit 3 is in 'x' too"),
        ({"a": {"type": "u8", "bits": {"x": 8}}}, "u8 has no bit 8"),
        ({"a": {"type": "i8", "bits": {"x": 1}}}, "bits are in u8"),
        ({"a": "u8", "b": {"bits": {"a": 1}}}, "'a' comes twice"),
        ({"a": "x3"}, "needs a field"),
        ({"a": "s60000", "b": "s60000"}, "more than 65536 bytes"),
    ],
)
def test_what_is_no_layout(fields, words):
    with pytest.raises(ConfigError) as caught:
        Struct(fields)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("type_", "value", "reason"),
    [
        ("u8", 256, "x: the number is out of range"),
        ("u8", -1, "x: the number is out of range"),
        ("u8", 1.5, "x: the number is out of range"),
        ("i64", 2.0**63, "x: the number is out of range"),
        ("u8", None, "x: missing, and nothing in the layout stands for missing"),
        ("bool", None, "x: missing, and nothing in the layout stands for missing"),
        ("f16", 1e6, "x: the number is out of range"),
        ({"type": "i8", "scale": 0.1}, 12.8, "x: the number is out of range"),
        ({"type": "u8", "missing": 255}, 255, "x: the number is out of range"),
        ("s3", "abcd", "x: 'abcd' is not text of 3 bytes"),
        ("s3", "a\0b", "x: 'a\\x00b' is not text of 3 bytes"),
        ("s3", "\ud800", "x: '\\ud800' is not text of 3 bytes"),
        ("h2", "xy", "x: 'xy' is not 2 bytes as hex"),
        ("h2", None, "x: missing"),
    ],
)
def test_what_cannot_be_written_is_rejected(type_, value, reason):
    column = (
        Strings.of([value])
        if type_ in ("s3", "h2")
        else np.array([np.nan if value is None else value])
    )
    with pytest.raises(Rejected) as caught:
        Struct({"x": type_}).encode(Batch({"x": column}, np.zeros(1, np.int64)))
    assert caught.value.reasons == {0: reason}


def test_a_column_of_another_kind_is_an_error_of_configuration():
    with pytest.raises(ConfigError, match="'x' holds text"):
        Struct({"x": "u8"}).encode(from_rows([{"x": "a"}]))
    with pytest.raises(ConfigError, match="'x' holds numbers"):
        Struct({"x": "s8"}).encode(from_rows([{"x": 1}]))
    with pytest.raises(ConfigError, match="did you mean 'speed'"):
        Struct({"sped": "u8"}).encode(from_rows([{"speed": 1}]))


ROW = st.fixed_dictionaries(
    {
        "a": st.integers(0, 2**32 - 1),
        "b": st.integers(-(2**63), 2**63 - 1),
        "c": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "d": st.none() | st.integers(-32767, 32767).map(lambda n: n / 100),
        "e": st.none()
        | st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
            min_size=1,
            max_size=3,
        ),
        "f": st.booleans(),
        "g": st.integers(0, 7),
        "h": st.booleans(),
    }
)
LAYOUT = {
    "a": "u32",
    "b": "i64",
    "c": "f64",
    "d": {"type": "i16", "scale": 0.01, "missing": -32768},
    "e": "s12",
    "bits": {"bits": {"f": 0, "g": "4-6"}},
    "h": "bool",
}


@given(
    rows=st.lists(ROW, min_size=1, max_size=5),
    order=st.sampled_from(["little", "big"]),
    many=st.booleans(),
)
def test_what_was_written_is_read(rows, order, many):
    codec = Struct(LAYOUT, order=order, rows="many" if many else "one")
    batch = from_rows(rows)
    batch = batch.with_columns(e=Strings.of([row["e"] for row in rows]))
    batch = batch.with_columns(c=np.array([np.nan if r["c"] is None else r["c"] for r in rows]))
    batch = batch.with_columns(d=np.array([np.nan if r["d"] is None else r["d"] for r in rows]))
    payloads = codec.encode(batch)
    assert len(payloads) == (1 if many else len(rows))
    assert rows_of(codec.decode(payloads)) == rows


@settings(max_examples=200)
@given(block=st.lists(st.binary(max_size=60), max_size=6), many=st.booleans())
def test_any_bytes_are_rows_or_rejected(block, many):
    codec = Struct(LAYOUT, rows="many" if many else "one")
    decoded = codec.decode(block)
    alone = [codec.decode([payload]) for payload in block]
    assert sorted(decoded.rejected) == [row for row, one in enumerate(alone) if one.rejected]
    assert repr(rows_of(decoded)) == repr([row for one in alone for row in rows_of(one)])


def test_truncated_and_flipped_payloads():
    codec = Struct({"name": "s4", "t": "f32"})
    honest = struct.pack("<4sf", b"abcd", 1.5)
    block = []
    for length in range(len(honest)):
        block += [honest[:length], honest]
    chance = random.Random(1)
    for _ in range(200):
        flipped = bytearray(honest)
        flipped[chance.randrange(8)] ^= 1 << chance.randrange(8)
        block += [bytes(flipped), honest]
    decoded = codec.decode(block)
    assert not set(decoded.rejected) & set(range(1, len(block), 2))
    places = decoded.good.tolist()
    rows = rows_of(decoded)
    assert all(
        rows[places.index(at)] == {"name": "abcd", "t": 1.5} for at in range(1, len(block), 2)
    )


def test_texts_are_weighed_and_forgotten():
    codec = Struct({"name": "s4", "n": "u8"})
    assert codec.decode([b"abcd\1"]).columns["name"].to_list() == ["abcd"]
    assert codec.state_bytes() > 0
    codec.shrink()
    assert codec.state_bytes() == 0
    assert codec.decode([b"efgh\1", b"abcd\1"]).columns["name"].codes.tolist() == [0, 1]
