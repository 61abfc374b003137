import json
import math
import random
import re
import sys
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, from_rows, to_python
from edgestream.codecs.cbor import Cbor
from edgestream.codecs.json import Json
from edgestream.component import State
from edgestream.errors import ConfigError, Fatal
from edgestream.schema import Schema

cbor2 = pytest.importorskip("cbor2")
pack = cbor2.dumps


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def wanting(names, demanded=None, **config):
    codec = Cbor(**config)
    codec.want(None if names is None else frozenset(names), demanded or {})
    return codec


def test_maps_become_columns():
    one = {"d": "a", "gps": {"lat": 41.4}, "n": 1, "tags": ["x", None, b"\xff"], "id": b"\1\2"}
    two = {"t": math.nan, "u": cbor2.undefined}
    decoded = Cbor().decode([pack(one), b"\xd9\xd9\xf7" + pack(two)])
    assert rows_of(decoded) == [
        {"d": "a", "gps.lat": 41.4, "n": 1.0, "tags": '["x",null,"ff"]', "id": "0102"}
        | {"t": None, "u": None},
        dict.fromkeys(["d", "gps.lat", "n", "tags", "id", "t", "u"]),
    ]
    assert decoded.good is None


MARK = 0xE5_ED_6E_57_9E_A3_C8_D1
"""What the codec adds to a payload to find its end."""


def test_the_mark_of_the_end_may_be_in_a_payload():
    assert rows_of(Cbor().decode([pack({"a": MARK, "b": pack(MARK)})])) == [
        {"a": float(MARK), "b": pack(MARK).hex()}
    ]


REJECTED = [
    (b"", "the payload is empty"),
    (b"\xd9\xd9\xf7", "the payload is empty"),
    (b"\xff", "not CBOR: break code"),
    (pack([1]), "an array at the top"),
    (pack(1), "int at the top, not a map"),
    (pack({1: 2}), "not CBOR"),
    (pack({b"a": 2}), "the field name b'a' is not text"),
    (pack({"a": 1}) + b"\x00", "something follows the value"),
    (pack({"a": math.inf}), "a: the number is out of range"),
    (pack({"a": -(2**64)}), "a: the whole number does not fit in 64 bits"),
    (pack({"a": cbor2.CBORSimpleValue(77)}), "a: expected a whole number, got a simple value"),
    (b"\xa1\x61a\x61\xff", "not UTF-8"),
    (b"\xa1\x61a" + b"\x81" * 200_000, "nested more than 32 deep"),
    (b"\xa1\x61a" * 100_000, "bytes are more than max_payload"),
    (b"\xa1\x61a" * 80_000, "nested more than 32 deep"),
    (b"\xc6" * 200_000, "nested more than 32 deep"),
    (b"\xa1\x61a\x9b" + b"\xff" * 8, "not CBOR"),
    (b"\xbb" + b"\xff" * 8, "not CBOR"),
    (b"\xa1\x61a\x5b" + b"\xff" * 8, "not CBOR"),
    (b"\xa1\x61a\x7b\x7f" + b"\xff" * 7, "not CBOR"),
    (pack({"a": Decimal("1e99999")}), "tag 4 is not read"),
    (pack({"a": 2**70}), "tag 2 is not read"),
    (pack({"a": re.compile("(x+x+)+y")}), "tag 35 is not read"),
    (b"\xa1\x61a\xc5\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01", "tag 5 is not read"),
    (b"\xa1\x61a\xd8\x1c\x81\xd8\x1d\x00", "tag 29 is not read"),
    (b"\xa1\x61a\xd9\xff\xff\x00", "tag 65535 is not read"),
    (pack({"a": MARK}) + b"\x00", "something follows the value"),
    (pack({"a": 1}) + pack(MARK), "something follows the value"),
    (pack({"a": 1}) + pack(MARK) + b"\x00", "something follows the value"),
]


@pytest.mark.parametrize(("payload", "reason"), REJECTED)
def test_a_bad_payload_is_rejected_and_its_neighbours_are_not(payload, reason):
    honest = pack({"a": 1})
    decoded = Cbor().decode([honest, payload, honest])
    assert decoded.rejected.keys() == {1}
    assert reason in decoded.rejected[1]
    assert rows_of(decoded) == [{"a": 1}, {"a": 1}]
    assert decoded.good.tolist() == [0, 2]


def test_a_tag_is_refused_in_fields_that_are_not_read_too():
    decoded = wanting({"a"}).decode([pack({"a": 1, "z": {"y": Decimal(1)}})])
    assert decoded.rejected == {0: "tag 4 is not read"}


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("value", [cbor2.CBORSimpleValue(77), {b"x": 1}, [b"x"], math.inf])
def test_what_is_not_read_does_no_harm_typed_or_looked_at(looked_at, value):
    codec = wanting({"a", "g.x"})
    codec.decode([pack({"a": 1, "g": {"x": 1}})] * 100)
    number = 1.5 if looked_at else 1
    decoded = codec.decode([pack({"a": number, "z": value, b"y": 1, "g": {"x": 1, "y": value}})])
    assert decoded.rejected == {}
    assert rows_of(decoded) == [{"a": number, "g.x": 1}]


@pytest.mark.parametrize("value", [cbor2.CBORSimpleValue(77), {b"x": 1}, b"x", [b"x"], "no fix"])
def test_what_stands_where_a_map_was_wanted_makes_its_fields_missing(value):
    codec = wanting({"g.x"})
    codec.decode([pack({"g": {"x": 1.5}})])
    for _ in range(2):
        decoded = codec.decode([pack({"g": value}), pack({"g": {"x": 2}})])
        assert decoded.rejected == {}
        assert rows_of(decoded) == [{"g.x": None}, {"g.x": 2.0}]


@pytest.mark.parametrize("value", [[cbor2.CBORSimpleValue(77)], [[{b"x": 1}]], {b"x": 1}])
def test_what_json_has_no_word_for_is_rejected_where_it_is_read(value):
    decoded = Cbor().decode([pack({"l": [1]}), pack({"l": value})])
    assert decoded.rejected.keys() == {1}


def test_only_wanted_columns_are_read():
    codec = wanting({"t", "gps.lat"}, {"t": "float"})
    decoded = codec.decode([pack({"t": True, "gps": {"lat": 2.5, "x": "y"}, "z": "a"})])
    assert rows_of(decoded) == [{"gps.lat": 2.5, "t": 1.0}]


def test_absent_columns_are_told():
    codec = wanting({"temprature"})
    codec.decode([pack({"temperature": 1})])
    assert codec.absent == {"temprature": "did you mean 'temperature'?"}


def test_configuration():
    assert Cbor(columns={"a": "int"}).schema() == Schema({"a": "int"})
    assert Cbor().schema() == Schema.unknown()
    with pytest.raises(ConfigError, match="cannot name a column"):
        Cbor(columns={"": "int"})


def test_a_snapshot_goes_on_where_the_first_run_was():
    first = Cbor()
    first.decode([pack({"a": 1}), pack({"a": 2.5, "l": [1]})])
    saved = first.snapshot()
    again = Cbor()
    again.restore(State(saved.version, json.loads(json.dumps(saved.meta)), {}))
    block = [pack({"a": 1, "l": [2]}), pack({"a": "x"})]
    one, two = first.decode(block), again.decode(block)
    assert one.rejected == two.rejected != {}
    assert rows_of(one) == rows_of(two)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(Fatal, match=r"pip install 'edgestream\[cbor\]'") as caught:
        Cbor().decode([b"\xa0"])
    assert caught.value.exit_code == 78
    with pytest.raises(Fatal, match="cbor2"):
        Cbor().encode(from_rows([{"a": 1}]))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.lists(st.integers(-5, 5) | TEXT, max_size=2),
    st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 3), max_size=2),
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "g", "g.x"]), VALUE, max_size=3))


@settings(max_examples=200, deadline=None)
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
        "a.b": TEXT,
    }
)


@given(rows=st.lists(ROW, min_size=1, max_size=5))
def test_what_was_written_is_read(rows):
    payloads = Cbor().encode(from_rows(rows))
    assert len(payloads) == len(rows)
    assert rows_of(Cbor().decode(payloads)) == rows


def test_writing():
    times = np.array(["2026-11-24T10:00:00", "NaT"], "datetime64[us]")
    batch = from_rows([{"t": 1.5}, {"t": None}]).with_columns(at=times)
    assert [cbor2.loads(raw) for raw in Cbor().encode(batch)] == [
        {"t": 1.5, "at": "2026-11-24T10:00:00Z"},
        {"t": None, "at": None},
    ]
    assert Cbor().encode(Batch({}, np.zeros(2, np.int64))) == [b"\xa0"] * 2


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
    codec = wanting({"a", "b", "d.e"})
    codec.decode([honest])
    decoded = codec.decode(block)
    assert not set(decoded.rejected) & set(range(1, len(block), 2))
    assert set(range(0, 2 * len(honest), 2)) <= set(decoded.rejected)
