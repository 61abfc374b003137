import base64
import json
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.codecs.senml import Senml
from edgestream.codecs.senml_records import LABELS
from edgestream.component import State
from edgestream.errors import ConfigError, Fatal, Rejected

NUMBERS = {name: label for label, name in LABELS.items()}


def rows_of(decoded):
    lists = {
        name: column.astype(np.int64).tolist()
        if not isinstance(column, Strings) and column.dtype.kind == "M"
        else to_python(column)
        for name, column in decoded.columns.items()
    }
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def given_rows(decoded):
    """Without what is missing."""
    return [
        {key: value for key, value in row.items() if value is not None} for row in rows_of(decoded)
    ]


def json_pack(records):
    return json.dumps(records).encode()


def cbor_pack(records):
    cbor2 = pytest.importorskip("cbor2")
    return cbor2.dumps([{NUMBERS.get(k, k): v for k, v in record.items()} for record in records])


PACK = [
    {"bn": "urn:dev:ow:10e2:", "bt": 1.276020076e9, "bu": "A", "bver": 5, "n": "voltage"}
    | {"u": "V", "v": 120.1},
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "current", "t": -4.5, "v": 1},
    {"n": "on", "vb": True},
    {"n": "label", "vs": "x", "ut": 60},
    {"n": "energy", "s": 7, "v": 3},
]


@pytest.mark.parametrize(("format_", "pack"), [("json", json_pack), ("cbor", cbor_pack)])
def test_a_record_is_a_row(format_, pack):
    codec = Senml(format=format_)
    decoded = codec.decode([pack(PACK), pack([{"n": "a", "v": 1, "t": 1_700_000_000}])])
    base, time = "urn:dev:ow:10e2:", 1_276_020_076_000_000
    assert given_rows(decoded) == [
        {"name": base + "voltage", "unit": "V", "time": time, "value": 120.1},
        {"name": base + "current", "unit": "A", "time": time - 5_000_000, "value": 1.2},
        {"name": base + "current", "unit": "A", "time": time - 4_500_000, "value": 1.0},
        {"name": base + "on", "unit": "A", "time": time, "flag": 1.0},
        {"name": base + "label", "unit": "A", "time": time, "text": "x", "update": 60.0},
        {"name": base + "energy", "unit": "A", "time": time, "value": 3.0, "sum": 7.0},
        {"name": "a", "time": 1_700_000_000_000_000, "value": 1.0},
    ]
    assert decoded.good.tolist() == [0] * 6 + [1]
    assert decoded.from_arrival == {}
    known = codec.schema().fields
    assert list(known) == list(decoded.columns)
    for name, column in decoded.columns.items():
        kind = "string" if isinstance(column, Strings) else column.dtype.kind
        assert known[name] == {"string": "string", "M": "time", "f": "float"}[kind]


def test_data():
    record = {"n": "x", "vd": "-_8"}
    assert given_rows(Senml().decode([json_pack([record])]))[0]["data"] == "-_8"
    binary = cbor_pack([{"n": "x", "vd": b"\xfb\xff"}])
    assert given_rows(Senml(format="cbor").decode([binary]))[0]["data"] == "-_8"


def test_base_values_are_added():
    pack = [
        {"bv": 20, "bs": 100, "n": "a", "v": 1.5},
        {"n": "b", "v": 0, "s": 5},
        {"bv": 0, "n": "c", "v": 7},
    ]
    decoded = Senml().decode([json_pack(pack)])
    assert decoded.columns["value"].tolist() == [21.5, 20, 7]
    assert to_python(decoded.columns["sum"]) == [None, 105, None]


def test_times_below_2_to_28_count_from_the_arrival():
    pack = [
        {"n": "a", "v": 1},
        {"n": "a", "v": 1, "t": -2.5},
        {"n": "a", "v": 1, "t": 2**28 - 1},
        {"n": "a", "v": 1, "t": 2**28},
        {"n": "a", "v": 1, "bt": 2**28, "t": -1},
    ]
    decoded = Senml().decode([json_pack(pack)])
    assert decoded.from_arrival["time"].tolist() == [True, True, True, False, True]
    micros = decoded.columns["time"].astype(np.int64).tolist()
    assert micros == [0, -2_500_000, (2**28 - 1) * 10**6, 2**28 * 10**6, (2**28 - 1) * 10**6]


def test_a_record_that_only_says_what_holds_for_the_others_is_no_row():
    pack = [{"bn": "d:", "bt": 1e9, "bu": "Cel"}, {"n": "t", "v": 1, "future": [1]}]
    assert [row["name"] for row in rows_of(Senml().decode([json_pack(pack)]))] == ["d:t"]
    empty = Senml().decode([b"[]"])
    assert empty.count == 0
    assert empty.rejected == {}


REJECTED = [
    (b"", "not JSON"),
    (b"{}", "not a list of records"),
    (b"[1]", "not a list of records"),
    (b'[{"n":"\xff"}]', "not UTF-8: byte 0xff"),
    (b"[" * 200_000, "not a list of records"),
    (b'[{"x":' + b"[" * 200_000, "nested too deep"),
    (json_pack([{"n": "a"}]), "record 1: no value"),
    (json_pack([{"v": 1}]), "record 1: '' is no name"),
    (json_pack([{"n": "a", "v": 1}, {"n": "-a", "v": 1}]), "record 2: '-a' is no name"),
    (json_pack([{"n": "a b", "v": 1}]), "'a b' is no name"),
    (json_pack([{"n": "a", "v": 1, "vs": "x"}]), "more than one of v, vs, vb and vd"),
    (json_pack([{"n": "a", "v": "1"}]), "v: expected a number"),
    (json_pack([{"n": "a", "v": True}]), "v: expected a number"),
    (json_pack([{"n": "a", "v": None}]), "v: expected a number"),
    (json_pack([{"n": "a", "vs": 1}]), "vs: expected text"),
    (json_pack([{"n": "a", "vb": 1}]), "vb: expected true or false"),
    (json_pack([{"n": 1, "v": 1}]), "n: expected text"),
    (json_pack([{"n": "a", "vd": "a"}]), "vd: expected base64url"),
    (json_pack([{"n": "a", "vd": "+/=="}]), "vd: expected base64url"),
    (json_pack([{"n": "a", "v": 1, "bver": 11}]), "bver: this is version 10"),
    (json_pack([{"n": "a", "v": 1, "bver": "10"}]), "bver: this is version 10"),
    (json_pack([{"n": "a", "v": 1, "new_": 1}]), "the field 'new_' must be understood"),
    (json_pack([{"n": "a", "v": 1e308, "bv": 1e308}]), "v: the number is out of range"),
    (json_pack([{"n": "a", "v": 10**308, "bv": 10**308}]), "v: the number is out of range"),
    (json_pack([{"n": "a", "v": 10**400}]), "v: the number is out of range"),
    (b'[{"n":"a","v":1e400}]', "a number is out of range"),
    (json_pack([{"n": "a", "v": 1, "t": 1e300}]), "t: the time is out of range"),
    (json_pack([{"n": "a", "v": 1, "t": 10**308, "bt": 10**308}]), "t: the number is out of range"),
    (json_pack([{"n": "a", "v": 1}] * 10_000) + b" " * 100_000, "more than max_payload"),
]


@pytest.mark.parametrize("pivot", [False, True])
@pytest.mark.parametrize(("payload", "reason"), REJECTED)
def test_a_bad_pack_is_rejected_and_its_neighbours_are_not(payload, reason, pivot):
    honest = json_pack([{"n": "a", "v": 1}])
    decoded = Senml(pivot=pivot).decode([honest, payload, honest])
    assert decoded.rejected.keys() == {1}
    assert reason in decoded.rejected[1]
    assert decoded.good.tolist() == [0, 2]
    assert decoded.columns["a" if pivot else "value"].tolist() == [1, 1]


def test_too_many_records():
    payload = b"[" + b'{"v":1,"n":"a"},' * 65_536 + b'{"v":1,"n":"a"}]'
    rejected = Senml(max_payload="4MiB").decode([payload]).rejected
    assert rejected == {0: "more than 65,536 records in a pack"}


def test_a_cbor_pack_that_is_none():
    cbor2 = pytest.importorskip("cbor2")
    codec = Senml(format="cbor")
    honest = cbor_pack([{"n": "a", "v": 1}])
    bad = {
        cbor2.dumps({}): "not a list of records",
        cbor2.dumps([1]): "a record is a map",
        cbor2.dumps([{0: "a", "n": "b", 2: 1}]): "n comes twice",
        cbor2.dumps([{0: "a", 8: "text"}]): "vd: expected bytes",
        cbor2.dumps([{0: "a", 2: 2**70}]): "tag 2 is not read",
        cbor2.dumps([{0: "a", 2: float("nan")}]): "v: the number is out of range",
        cbor2.dumps([{0: "a", 2: 1, "x_": 1}]): "must be understood",
        honest + b"\0": "something follows the value",
        b"\x81" * 200_000: "nested more than 8 deep",
        b"\x9b" + b"\xff" * 8: "not CBOR",
    }
    block = [part for payload in bad for part in (payload, honest)]
    decoded = codec.decode(block)
    assert decoded.good.tolist() == list(range(1, len(block), 2))
    for index, reason in enumerate(bad.values()):
        assert reason in decoded.rejected[2 * index]
    unknown = cbor2.dumps([{0: "a", 2: 1, 77: [1], 2.5: 1}])
    assert codec.decode([unknown]).columns["value"].tolist() == [1]


def test_pivot():
    pack = [
        {"bn": "d1:", "bt": 1e9, "n": "t", "v": 20.5},
        {"n": "on", "vb": True},
        {"n": "t", "t": 1, "v": 21},
        {"bn": "d2:", "n": "t", "v": 3},
        {"bn": "d3", "v": 4},
    ]
    codec = Senml(pivot=True)
    decoded = codec.decode([json_pack(pack), json_pack([{"n": "t", "v": 1}])])
    second = 1_000_000_000_000_000
    assert given_rows(decoded) == [
        {"base": "d1:", "time": second, "t": 20.5, "on": 1.0},
        {"base": "d1:", "time": second + 1_000_000, "t": 21.0},
        {"base": "d2:", "time": second, "t": 3.0},
        {"base": "d3", "time": second, "value": 4.0},
        {"time": 0, "t": 1.0},
    ]
    assert decoded.good.tolist() == [0, 0, 0, 0, 1]
    assert decoded.from_arrival["time"].tolist() == [False] * 4 + [True]
    assert codec.schema().open
    bad = [
        [{"n": "t", "vs": "x"}],
        [{"n": "time", "v": 1}],
        [{"n": "u", "v": 1}, {"n": "t", "vb": True}],
    ]
    decoded = codec.decode([json_pack(pack) for pack in bad])
    assert "t: expected a number, got 'x'" in decoded.rejected[0]
    assert "cannot be called 'time'" in decoded.rejected[1]
    assert "t: expected a number, got true" in decoded.rejected[2]
    assert "u" not in decoded.columns


def test_pivoted_rows_of_the_wanted_columns():
    codec = Senml(pivot=True)
    codec.want(frozenset({"t", "n", "hum"}), {"n": "int"})
    decoded = codec.decode(
        [json_pack([{"n": "t", "v": 1}, {"n": "n", "v": 2}, {"n": "x", "v": 3}])]
    )
    assert rows_of(decoded) == [{"t": 1.0, "n": 2, "hum": None}]
    assert decoded.from_arrival == {}
    assert codec.absent == {"hum": ""} or "hum" in codec.absent


def test_records_of_the_wanted_columns():
    codec = Senml()
    codec.want(frozenset({"name", "value"}), {})
    assert rows_of(codec.decode([json_pack([{"n": "t", "v": 1}])])) == [{"name": "t", "value": 1.0}]
    assert codec.absent == {}


def test_a_snapshot_of_pivoted_rows():
    first, again = Senml(pivot=True), Senml(pivot=True)
    first.decode([json_pack([{"n": "t", "v": 1}, {"n": "s", "vs": "x"}])])
    saved = first.snapshot()
    again.restore(State(saved.version, json.loads(json.dumps(saved.meta)), {}))
    block = [json_pack([{"n": "t", "vs": "x"}]), json_pack([{"n": "t", "v": 2}])]
    one, two = first.decode(block), again.decode(block)
    assert one.rejected == two.rejected != {}
    assert rows_of(one) == rows_of(two)
    assert Senml().snapshot() is None


def test_writing_records():
    times = np.array(["2026-11-24T10:00:00", "2026-11-24T10:00:00.5", "NaT"], "datetime64[us]")
    batch = from_rows(
        [
            {"name": "a", "value": 1.5, "unit": "Cel", "flag": None, "sum": None},
            {"name": "b", "value": None, "unit": None, "flag": 1, "sum": 3},
            {"name": "c", "value": 0.0, "unit": None, "flag": None, "sum": None},
        ]
    ).with_columns(time=times)
    second = 1_795_514_400
    assert [json.loads(pack) for pack in Senml().encode(batch)] == [
        [{"n": "a", "u": "Cel", "v": 1.5, "t": second}],
        [{"n": "b", "s": 3.0, "vb": True, "t": second + 0.5}],
        [{"n": "c", "v": 0.0}],
    ]
    (together,) = Senml(rows="many").encode(batch)
    assert len(json.loads(together)) == 3
    assert Senml(rows="many").encode(batch.take(slice(0))) == []


def test_what_cannot_be_written():
    early = np.array([0], "datetime64[us]")
    cases = {
        "'a b' is no name in SenML": from_rows([{"name": "a b", "value": 1}]),
        "no value, text, flag, data or sum": from_rows([{"name": "a", "value": None}]),
        "more than one of value, text, flag and data": from_rows(
            [{"name": "a", "value": 1, "text": "x"}]
        ),
        "data: '+' is not base64url": from_rows([{"name": "a", "data": "+"}]),
        "time: before July 1978 it would count from the arrival": from_rows(
            [{"name": "a", "value": 1}]
        ).with_columns(time=early),
    }
    for reason, batch in cases.items():
        with pytest.raises(Rejected) as caught:
            Senml().encode(batch)
        assert caught.value.reasons == {0: reason}
    with pytest.raises(ConfigError, match="no column 'name'"):
        Senml().encode(from_rows([{"value": 1}]))
    with pytest.raises(ConfigError, match="'time' holds no times"):
        Senml(pivot=True).encode(from_rows([{"time": 1}]))
    with pytest.raises(ConfigError, match="'at' holds times"):
        Senml(pivot=True).encode(from_rows([{"x": 1}]).with_columns(at=early))


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(Fatal, match=r"edgestream\[cbor\]"):
        Senml(format="cbor").decode([b"\x80"])
    with pytest.raises(Fatal, match=r"edgestream\[cbor\]"):
        Senml(format="cbor").encode(from_rows([{"name": "a", "value": 1}]))


NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9\-:./_]{0,5}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
TIME = st.none() | st.integers(2**28 * 10**6, 2**32 * 10**6)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
LONG = st.tuples(
    NAME, TIME, st.sampled_from(["value", "text", "flag", "data", "sum"]), NUMBER, TEXT
)
FORMATS = st.sampled_from(["json", "cbor"])


def columns_of(rows, times):
    batch = from_rows(rows)
    texts = {
        name: Strings.of([row.get(name) for row in rows])
        for name in {key for row in rows for key, value in row.items() if isinstance(value, str)}
    }
    stamps = np.array([None if time is None else time for time in times], "datetime64[us]")
    return Batch({**batch.columns, **texts, "time": stamps}, np.zeros(len(rows), np.int64))


@settings(deadline=None)
@given(rows=st.lists(LONG, min_size=1, max_size=4), together=st.booleans(), format_=FORMATS)
def test_records_that_were_written_are_read(rows, together, format_):
    if format_ == "cbor":
        pytest.importorskip("cbor2")
    values = {
        "text": lambda n, t: t,
        "data": lambda n, t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="),
        "flag": lambda n, t: 1.0,
    }
    wanted = [
        {"name": name, what: values.get(what, lambda n, t: n)(number, text)}
        for name, _, what, number, text in rows
    ]
    codec = Senml(format=format_, rows="many" if together else "one")
    payloads = codec.encode(columns_of(wanted, [time for _, time, *_ in rows]))
    assert len(payloads) == (1 if together else len(rows))
    decoded = codec.decode(payloads)
    assert decoded.rejected == {}
    got = given_rows(decoded)
    for row, (_, time, *_), back in zip(wanted, rows, got, strict=True):
        assert back.pop("time") == (0 if time is None else time)
        assert back == row


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.none() | NAME, TIME, NUMBER, TEXT),
        min_size=1,
        max_size=4,
        unique_by=lambda r: r[:2],
    ),
    together=st.booleans(),
)
def test_pivoted_rows_that_were_written_are_read(rows, together):
    wanted = [{"base": base, "t": t, "s": s} for base, _, t, s in rows]
    times = [time for _, time, *_ in rows]
    codec = Senml(pivot=True, rows="many" if together else "one")
    decoded = codec.decode(codec.encode(columns_of(wanted, times)))
    assert rows_of(decoded) == [
        {"base": row["base"], "time": time or 0, "t": row["t"], "s": row["s"]}
        for row, time in zip(wanted, times, strict=True)
    ]


@settings(max_examples=200, deadline=None)
@given(block=st.lists(st.binary(max_size=20), max_size=5), format_=FORMATS, pivot=st.booleans())
def test_any_bytes_are_rows_or_rejected(block, format_, pivot):
    if format_ == "cbor":
        pytest.importorskip("cbor2")
    honest = (json_pack if format_ == "json" else cbor_pack)([{"n": "a", "v": 1}])
    decoded = Senml(format=format_, pivot=pivot).decode(
        [part for payload in block for part in (payload, honest)]
    )
    assert not set(decoded.rejected) & set(range(1, 2 * len(block), 2))


@pytest.mark.parametrize(("format_", "pack"), [("json", json_pack), ("cbor", cbor_pack)])
def test_truncated_and_flipped_payloads(format_, pack):
    honest = pack(PACK)
    bad = [honest[:length] for length in range(len(honest))]
    chance = random.Random(1)
    for _ in range(500):
        flipped = bytearray(honest)
        flipped[chance.randrange(len(honest))] ^= 1 << chance.randrange(8)
        bad.append(bytes(flipped))
    block = [part for payload in bad for part in (payload, honest)]
    decoded = Senml(format=format_).decode(block)
    assert not set(decoded.rejected) & set(range(1, len(block), 2))
    assert set(range(0, 2 * len(honest), 2)) <= set(decoded.rejected)
    first = np.searchsorted(decoded.good, np.arange(1, len(block), 2))
    assert set(decoded.columns["value"][first].tolist()) == {120.1}


@pytest.mark.parametrize("pivot", [False, True])
def test_texts_are_weighed_and_forgotten(pivot):
    codec = Senml(pivot=pivot)
    payload = json_pack([{"bn": "d1", "n": "t", "vs": "x"}])
    codec.decode([payload])
    assert codec.state_bytes() > 0
    codec.shrink()
    assert codec.state_bytes() == 0
    decoded = codec.decode([payload])
    assert decoded.columns["t" if pivot else "text"].to_list() == ["x"]
