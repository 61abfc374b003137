import json
import math
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, from_rows, to_python
from edgestream.codecs.json import Json
from edgestream.codecs.msgpack import Msgpack
from edgestream.component import State
from edgestream.errors import ConfigError
from edgestream.schema import Schema

pack = msgspec.msgpack.encode
EXT = msgspec.msgpack.Ext(5, b"abcd")


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def wanting(names, demanded=None, **config):
    codec = Msgpack(**config)
    codec.want(None if names is None else frozenset(names), demanded or {})
    return codec


def test_maps_become_columns():
    block = [pack({"d": "a", "gps": {"lat": 41.4}, "n": 1, "tags": ["x", None, math.nan]})]
    decoded = Msgpack().decode([*block, pack({"d": "b", "t": math.nan, "on": True})])
    assert rows_of(decoded) == [
        {"d": "a", "gps.lat": 41.4, "n": 1.0, "tags": '["x",null,null]', "t": None, "on": None},
        {"d": "b", "gps.lat": None, "n": None, "tags": None, "t": None, "on": 1.0},
    ]
    assert decoded.good is None


def test_arrays_become_columns():
    codec = Msgpack(columns=["d", "ts", "t", "a.b"], arrays=True)
    codec.want(frozenset({"d", "t", "a.b"}), {})
    block = [pack(["a", EXT, 1.5, 7]), pack(["b", b"x", None, 8])] * 100
    decoded = codec.decode(block)
    assert rows_of(decoded)[:2] == [
        {"a.b": 7, "d": "a", "t": 1.5},
        {"a.b": 8, "d": "b", "t": None},
    ]
    assert decoded.count == 200
    bad = [pack(["a", 1, 2.0]), pack(["a", 1, 2.0, 3, 4]), pack({"d": "a"}), pack("x")]
    decoded = codec.decode([block[0], *bad, block[0]])
    assert decoded.good.tolist() == [0, 5]
    assert list(decoded.rejected.values()) == [
        "3 items where there are 4 columns",
        "5 items where there are 4 columns",
        "a map at the top, not an array",
        "str at the top, not an array",
    ]


REJECTED = [
    (b"", "the payload is empty"),
    (b"\xc1", "not MessagePack: invalid opcode"),
    (pack([1]), "an array at the top"),
    (pack(1), "int at the top, not a map"),
    (pack({1: 2}), "the field name 1 is not text"),
    (pack({"a": b"x"}), "a: expected a number, text or a list, got bytes"),
    (pack({"a": EXT}), "got an extension type"),
    (b"\x81\xa1a\xd6\xffabcd", "got an extension type"),
    (pack({"a": [1, {"b": b"x"}]}), "got bytes"),
    (pack({"a": math.inf}), "a: the number is out of range"),
    (pack({"c": [math.inf]}), "c: a number in the list is out of range"),
    (pack({"a": "x"}), "a: expected a whole number, got 'x'"),
    (pack({"a": 2**63}), "a: the whole number does not fit in 64 bits"),
    (b"\x81\xa1a\xa1\xff", "not UTF-8"),
    (b"\x81\xa1\xff\x01", "not UTF-8"),
    (pack({"a": 1}) + b"\x80", "trailing characters"),
    (b"\xdf\xff\xff\xff\xff", "truncated"),
    (b"\x81\xa1a\xdd\xff\xff\xff\xff", "truncated"),
    (b"\x81\xa1a\xdb\xff\xff\xff\xff", "truncated"),
    (b"\x81\xa1a" + b"\x91" * 200_000, "nested too deep"),
    (b"\x81\xa1a" * 80_000, "nested too deep"),
    (b"\x81\xa1a" * 40 + b"\x01", "nested more than 32 deep"),
    (pack({"a": "x" * 300_000}), "bytes are more than max_payload"),
]


@pytest.mark.parametrize(("payload", "reason"), REJECTED)
def test_a_bad_payload_is_rejected_and_its_neighbours_are_not(payload, reason):
    honest = pack({"a": 1})
    decoded = Msgpack().decode([honest, payload, honest])
    assert decoded.rejected.keys() == {1}
    assert reason in decoded.rejected[1]
    assert rows_of(decoded) == [{"a": 1}, {"a": 1}]
    assert decoded.good.tolist() == [0, 2]


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("value", [b"\xa1\xff", pack(EXT), pack(b"x"), pack(math.inf), pack([1])])
def test_what_is_not_read_is_passed_over_typed_or_looked_at(looked_at, value):
    """The field ``a`` of another kind is what makes a payload looked at."""
    codec = wanting({"a", "g.x"})
    codec.decode([pack({"a": 1, "g": {"x": 1}})] * 100)
    number = pack(1.5 if looked_at else 1)
    payload = b"\x83\xa1a" + number + b"\xa1z" + value + b"\xa1g\x82\xa1x\x01\xa1y" + value
    decoded = codec.decode([payload])
    assert decoded.rejected == {}
    assert rows_of(decoded) == [{"a": 1.5 if looked_at else 1, "g.x": 1}]


@pytest.mark.parametrize("value", [b"\xa1\xff", pack(EXT), pack(b"x"), pack([EXT]), pack(3)])
def test_what_is_no_map_where_one_is_on_the_way_is_missing(value):
    codec = wanting({"a", "g.x"})
    codec.decode([pack({"a": 1, "g": {"x": 1}})] * 100)
    decoded = codec.decode([b"\x82\xa1a\x01\xa1g" + value])
    assert rows_of(decoded) == [{"a": 1, "g.x": None}]


def test_absent_columns_are_told():
    codec = wanting({"temprature"})
    codec.decode([pack({"temperature": 1, 5: 6, "z": b"x"})])
    assert codec.absent == {}  # a payload of which nothing can be read teaches nothing
    codec.decode([pack({"temperature": 1, "z": b"x"})])
    assert codec.absent == {"temprature": "did you mean 'temperature'?"}


def test_configuration():
    assert Msgpack(columns=["a"]).schema() == Schema({"a": "any"})
    assert Msgpack(columns={"a": "int"}).schema() == Schema({"a": "int"})
    assert Msgpack().schema() == Schema.unknown()
    with pytest.raises(ConfigError, match="give columns"):
        Msgpack(arrays=True)
    with pytest.raises(ConfigError, match="comes twice"):
        Msgpack(columns=["a", "a"])
    with pytest.raises(ConfigError, match="cannot name a column"):
        Msgpack(columns=[""])


def test_declared_columns():
    codec = Msgpack(columns={"n": "int", "t": "float"})
    decoded = codec.decode([pack({"n": 2.0, "t": 1, "x": b""}), pack({"n": 2.5})])
    assert rows_of(decoded) == [{"n": 2, "t": 1.0}]
    assert "n: expected a whole number, got 2.5" in decoded.rejected[1]


def test_a_snapshot_goes_on_where_the_first_run_was():
    first = Msgpack()
    first.decode([pack({"a": 1}), pack({"a": 2.5, "l": [1]})])
    saved = first.snapshot()
    again = Msgpack()
    again.restore(State(saved.version, json.loads(json.dumps(saved.meta)), {}))
    block = [pack({"a": 1, "l": [2]}), pack({"a": "x"})]
    one, two = first.decode(block), again.decode(block)
    assert one.rejected == two.rejected != {}
    assert rows_of(one) == rows_of(two)
    with pytest.raises(ConfigError, match="state of the msgpack codec"):
        again.restore(State(7, {}, {}))


VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.lists(st.integers(-5, 5) | st.text(st.characters(exclude_categories=["Cs"])), max_size=2),
    st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 3), max_size=2),
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "g", "g.x"]), VALUE, max_size=3))


@settings(max_examples=300, deadline=None)
@given(
    rows=ROWS,
    cut=st.integers(0, 5),
    names=st.none() | st.frozensets(st.sampled_from(["a", "g.x", "g"])),
    demanded=st.dictionaries(st.just("a"), st.sampled_from(["float", "int", "string"])),
)
def test_it_reads_what_json_reads(rows, cut, names, demanded):
    like, codec = Json(), wanting(names, demanded)
    like.want(names, demanded)
    for part in (rows[:cut], rows[cut:]):
        wanted = like.decode([msgspec.json.encode(row) for row in part])
        got = codec.decode([pack(row) for row in part])
        assert got.rejected.keys() == wanted.rejected.keys()
        assert repr(rows_of(got)) == repr(rows_of(wanted))


ROW = st.fixed_dictionaries(
    {
        "n": st.integers(-(2**63), 2**63 - 1),
        "t": st.floats(allow_nan=False, allow_infinity=False),
        "on": st.booleans(),
        "a.b": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    }
)


@given(rows=st.lists(ROW, min_size=1, max_size=5), arrays=st.booleans())
def test_what_was_written_is_read(rows, arrays):
    codec = Msgpack(columns=["n", "t", "on", "a.b"], arrays=arrays)
    payloads = codec.encode(from_rows(rows))
    assert len(payloads) == len(rows)
    for _ in range(2):
        assert rows_of(codec.decode(payloads)) == rows


def test_writing():
    times = np.array(["2026-11-24T10:00:00", "NaT"], "datetime64[us]")
    batch = from_rows([{"t": 1.5, "s": "x"}, {"t": None, "s": None}]).with_columns(at=times)
    assert [msgspec.msgpack.decode(raw) for raw in Msgpack().encode(batch)] == [
        {"t": 1.5, "s": "x", "at": "2026-11-24T10:00:00Z"},
        {"t": None, "s": None, "at": None},
    ]
    assert Msgpack().encode(Batch({}, np.zeros(2, np.int64))) == [b"\x80"] * 2
    with pytest.raises(ConfigError, match="no column 'z' to write"):
        Msgpack(columns=["z"], arrays=True).encode(batch)


@settings(max_examples=300, deadline=None)
@given(block=st.lists(st.binary(max_size=20), max_size=6), names=st.sampled_from([None, ("a",)]))
def test_any_bytes_are_rows_or_rejected(block, names):
    honest = pack({"a": 1})
    decoded = wanting(names).decode([part for payload in block for part in (payload, honest)])
    assert not set(decoded.rejected) & set(range(1, 2 * len(block), 2))


def test_truncated_and_flipped_payloads():
    honest = pack({"a": 1, "b": "text", "c": [1, 2], "d": {"e": 1.5}})
    block = []
    for length in range(len(honest)):
        block += [honest[:length], honest]
    chance = random.Random(1)
    for _ in range(500):
        flipped = bytearray(honest)
        flipped[chance.randrange(len(honest))] ^= 1 << chance.randrange(8)
        block += [bytes(flipped), honest]
    for names in (None, {"a", "b", "d.e"}):
        codec = wanting(names)
        codec.decode([honest])
        decoded = codec.decode(block)
        assert not set(decoded.rejected) & set(range(1, len(block), 2))
        assert set(range(0, 2 * len(honest), 2)) <= set(decoded.rejected)
        places = decoded.good.tolist()
        rows = rows_of(decoded)
        assert all(rows[places.index(at)]["b"] == "text" for at in range(1, len(block), 2))
