import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import from_rows, to_python
from edgestream.codecs import columnar_decode
from edgestream.codecs.columnar import Columnar
from edgestream.component import State
from edgestream.errors import ConfigError
from edgestream.schema import Schema


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def wanting(names, demanded=None, **config):
    codec = Columnar(**config)
    codec.want(None if names is None else frozenset(names), demanded or {})
    return codec


def test_lists_are_columns_and_what_is_no_list_holds_for_all_rows():
    payload = b'{"device":"d1","ts":[1,2,3],"t":[20.5,null,21],"tags":[["a"],[],null],"gone":null}'
    decoded = Columnar().decode([payload, payload])
    assert rows_of(decoded)[:3] == [
        {"device": "d1", "ts": 1, "t": 20.5, "tags": '["a"]', "gone": None},
        {"device": "d1", "ts": 2, "t": None, "tags": "[]", "gone": None},
        {"device": "d1", "ts": 3, "t": 21.0, "tags": None, "gone": None},
    ]
    assert decoded.good.tolist() == [0, 0, 0, 1, 1, 1]
    kinds = [getattr(column, "dtype", None) for column in decoded.columns.values()]
    assert kinds == [None, np.int64, np.float64, None, np.float64]


def test_an_object_without_lists_is_a_row_and_empty_lists_are_none():
    decoded = Columnar().decode([b'{"a":1}', b'{"a":[]}', b"{}", b'{"a":[2],"b":"x"}'])
    assert rows_of(decoded) == [{"a": 1, "b": None}, {"a": None, "b": None}, {"a": 2, "b": "x"}]
    assert decoded.good.tolist() == [0, 2, 3]
    assert decoded.rejected == {}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object of columns"),
        (b"3", "not an object of columns"),
        (b'{"a":[1,2],"b":[1]}', "the columns differ in length: a 2, b 1"),
        (b'{"a":[1,"x"]}', "a: expected a whole number, got 'x'"),
        (b'{"a":[{}]}', "a: expected a whole number, got an object"),
        (b'{"a":{"b":1}}', "a: expected a whole number, got an object; name one of its fields"),
        (b'{"a":[1e400]}', "a: the number is out of range"),
        (b'{"a":[9223372036854775808]}', "a: the whole number does not fit in 64 bits"),
        (b'{"a":[1,[2]]}', "a: expected a whole number, got a list"),
        (b'{"a":[NaN]}', "not JSON"),
        (b'{"a":[1}', "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8: byte 0xff (byte 6)"),
        (b'{"z":"\xff"}', "not UTF-8: byte 0xff (byte 6)"),
        (b'{"\\"":1}', "the field name '\"' cannot name a column"),
        (b'{"":1}', "'' cannot name a column"),
        (b'{"a":' + b"[" * 200_000, "nested too deep"),
        (b'{"z":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_001, "nested too deep"),
        (b'{"a":[' + b"1," * 600_000 + b"1]}", "bytes are more than max_payload"),
    ],
)
def test_a_bad_payload_is_rejected_and_its_neighbours_are_not(payload, reason):
    honest = b'{"a":[1,2]}'
    decoded = Columnar().decode([honest, payload, honest])
    assert decoded.rejected.keys() == {1}
    assert reason in decoded.rejected[1]
    assert decoded.columns["a"].tolist() == [1, 2, 1, 2]
    assert decoded.good.tolist() == [0, 0, 2, 2]
    assert list(decoded.columns) == ["a"], "a rejected payload teaches nothing"


def test_one_value_beside_a_long_list_does_not_become_too_many(monkeypatch):
    monkeypatch.setattr(columnar_decode, "MAX_CELLS", 100)
    many = {f"c{n}": 1 for n in range(20)}
    payload = json.dumps({"a": [1] * 10, **many}).encode()
    assert Columnar().decode([payload]).rejected == {0: "more than 100 values in one payload"}


def test_too_many_columns():
    payload = json.dumps({f"c{n}": [1] for n in range(1025)}).encode()
    decoded = Columnar().decode([payload, b'{"c":[1]}'])
    assert decoded.rejected == {0: "more than 1024 different columns"}
    assert rows_of(decoded) == [{"c": 1}]


def test_only_wanted_columns_are_read():
    codec = wanting({"t"}, {"t": "float"})
    decoded = codec.decode([b'{"t":[1,true,2.5],"x":[1],"y":{"z":1e400}}'])
    assert decoded.columns["t"].tolist() == [1.0, 1.0, 2.5]
    assert list(decoded.columns) == ["t"]


@pytest.mark.parametrize("names", [{"device"}, set(), {"absent"}])
def test_lists_that_are_not_read_tell_how_many_rows_there_are(names):
    codec = wanting(names)
    decoded = codec.decode([b'{"device":"a","x":[1,2,3]}', b'{"device":"b","x":[1],"y":[1,2]}'])
    assert decoded.count == 3
    assert decoded.rejected == {1: "the columns differ in length: 1, 2"}


def test_absent_columns_are_told():
    codec = wanting({"temprature", "t"})
    assert codec.absent == {}
    codec.decode([b'{"temperature":[1],"t":[1]}'])
    assert codec.absent == {"temprature": "did you mean 'temperature'?"}


def test_declared_columns():
    codec = Columnar(columns={"n": "int", "t": "float", "s": "string"})
    assert codec.schema() == Schema({"n": "int", "t": "float", "s": "string"})
    decoded = codec.decode([b'{"n":[1,2.0],"t":[1,2],"x":[5,6]}', b'{"n":[1.5]}', b'{"s":[1]}'])
    assert rows_of(decoded) == [{"n": 1, "t": 1.0, "s": None}, {"n": 2, "t": 2.0, "s": None}]
    assert "n: expected a whole number, got 1.5" in decoded.rejected[1]
    assert "s: expected text, got 1" in decoded.rejected[2]
    with pytest.raises(ConfigError, match="cannot name a column"):
        Columnar(columns={"": "int"})


def test_a_snapshot_goes_on_where_the_first_run_was():
    first = Columnar()
    first.decode([b'{"a":[1,2.5],"b":["x"]}', b'{"a":[1.5],"b":["x"]}', b'{"c":null}'])
    saved = first.snapshot()
    again = Columnar()
    again.restore(State(saved.version, json.loads(json.dumps(saved.meta)), {}))
    block = [b'{"a":[1],"b":[2]}', b'{"a":[1],"b":["y"]}']
    one, two = first.decode(block), again.decode(block)
    assert one.rejected == two.rejected != {}
    assert rows_of(one) == rows_of(two)
    with pytest.raises(ConfigError, match="unknown version 7"):
        again.restore(State(7, {}, {}))


ROW = st.fixed_dictionaries(
    {
        "n": st.integers(-(2**63), 2**63 - 1),
        "t": st.floats(allow_nan=False, allow_infinity=False),
        "b": st.booleans(),
        "s": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    }
)


@given(rows=st.lists(ROW, min_size=1, max_size=5), together=st.booleans())
def test_what_was_written_is_read(rows, together):
    codec = Columnar(rows="many" if together else "one")
    payloads = codec.encode(from_rows(rows))
    assert len(payloads) == (1 if together else len(rows))
    decoded = Columnar().decode(payloads)
    assert rows_of(decoded) == rows
    assert rows_of(codec.decode(payloads)) == rows, "the fast way, once all is known"


def test_nothing_to_write():
    assert Columnar().encode(from_rows([])) == []


VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-5, 5)
    | st.sampled_from(["x", 2**63, -(2**63), [], [1], 1e300, -0.0])
)
PAYLOAD = st.dictionaries(
    st.sampled_from("abcd"), VALUE | st.lists(VALUE, min_size=2, max_size=2), max_size=3
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=300)
@given(block=st.lists(PAYLOAD | st.binary(max_size=9), max_size=8), cut=st.integers(0, 8))
def test_what_is_accepted_does_not_depend_on_the_cut(block, cut):
    whole, parts = wanting({"a", "b"}, {"b": "float"}), wanting({"a", "b"}, {"b": "float"})
    one = whole.decode(block)
    first, second = parts.decode(block[:cut]), parts.decode(block[cut:])
    moved = {row + len(block[:cut]): reason for row, reason in second.rejected.items()}
    assert one.rejected == {**first.rejected, **moved}
    assert one.count == first.count + second.count
    assert whole.snapshot().meta["columns"].keys() == parts.snapshot().meta["columns"].keys()


def test_truncated_and_flipped_payloads():
    honest = b'{"a":[1,2],"b":["x","y"]}'
    block = []
    for length in range(len(honest)):
        block += [honest[:length], honest]
    chance = random.Random(1)
    for _ in range(400):
        flipped = bytearray(honest)
        flipped[chance.randrange(len(honest))] ^= 1 << chance.randrange(8)
        block += [bytes(flipped), honest]
    codec = wanting({"a", "b"})
    codec.decode([honest])
    decoded = codec.decode(block)
    assert not set(decoded.rejected) & set(range(1, len(block), 2))
    places = decoded.good.tolist()
    rows = rows_of(decoded)
    for at in range(1, len(block), 2):
        first = places.index(at)
        assert rows[first : first + 2] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
