import json
import math
import random
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.codecs import arrow_decode
from edgestream.codecs.arrow import Arrow
from edgestream.codecs.arrow_claims import Claimed, Claims
from edgestream.codecs.arrow_texts import words_of
from edgestream.component import State
from edgestream.errors import ConfigError, Fatal
from edgestream.schema import Schema

pa = pytest.importorskip("pyarrow")

END = b"\xff\xff\xff\xff\0\0\0\0"


def frame(columns, compression=None, batches=1):
    arrays = [
        value if isinstance(value, pa.Array) else pa.array(value) for value in columns.values()
    ]
    batch = pa.record_batch(arrays, names=list(columns))
    return frame_of(batch.schema, [batch] * batches, compression)


def frame_of(schema, batches, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def wanting(names, demanded=None, **config):
    codec = Arrow(**config)
    codec.want(None if names is None else frozenset(names), demanded or {})
    return codec


def test_batches_become_columns():
    columns = {
        "device": pa.array(["a", None, "b"]).dictionary_encode(),
        "n": pa.array([1, 2, 3], pa.uint8()),
        "t": [1.5, None, -0.0],
        "on": [True, False, True],
        "at": pa.array([0, None, 1_500], pa.timestamp("ms")),
        "gps": [{"lat": 1.0, "lon": {"x": 1}}, {"lat": 2.0, "lon": {"x": 2}}, None],
        "gone": pa.nulls(3),
    }
    decoded = Arrow().decode([frame(columns), frame(columns, "zstd", 2)])
    assert decoded.count == 9
    assert decoded.good.tolist() == [0] * 3 + [1] * 6
    made = decoded.columns
    assert made["device"].to_list() == ["a", None, "b"] * 3
    assert made["n"].dtype == np.int64
    assert made["n"].tolist() == [1, 2, 3] * 3
    assert repr(to_python(made["t"])[:3]) == "[1.5, None, -0.0]"
    assert made["on"].dtype == np.bool_
    assert made["at"].dtype == np.dtype("datetime64[us]")
    assert made["at"].astype("int64").tolist()[:3] == [0, np.iinfo(np.int64).min, 1_500_000]
    assert to_python(made["gps.lat"])[:3] == [1.0, 2.0, None]
    assert to_python(made["gps.lon.x"])[:3] == [1.0, 2.0, None]
    assert to_python(made["gone"])[:3] == [None] * 3


@pytest.mark.parametrize(
    ("array", "dtype", "values"),
    [
        (pa.array([1, None], pa.int64()), "float64", [1.0, None]),
        (pa.array([True, None]), "float64", [1.0, None]),
        (pa.array([1, 2**63 - 1], pa.uint64()), "int64", [1, 2**63 - 1]),
        (pa.array([-128, 127], pa.int8()), "int64", [-128, 127]),
        (pa.array([0.5, None], pa.float32()), "float64", [0.5, None]),
        (pa.array(np.array([0.5, 2], np.float16)), "float64", [0.5, 2.0]),
        (pa.array([0.5, math.nan]), "float64", [0.5, None]),
        (pa.array(["x", None], pa.large_string()), "text", ["x", None]),
        (pa.array(["x", None], pa.string_view()), "text", ["x", None]),
        (pa.array(["x", "x"], pa.large_string()).dictionary_encode(), "text", ["x", "x"]),
    ],
)
def test_every_type(array, dtype, values):
    column = Arrow().decode([frame({"a": array})]).columns["a"]
    assert ("text" if isinstance(column, Strings) else column.dtype.name) == dtype
    assert to_python(column) == values


@pytest.mark.parametrize(
    ("kind", "value", "micros"),
    [
        (pa.timestamp("s"), 1, 1_000_000),
        (pa.timestamp("us", "Europe/Madrid"), 1, 1),
        (pa.timestamp("ns"), 1_999, 1),
        (pa.timestamp("ns", "UTC"), 1_999, 1),
        (pa.date32(), 1, 86_400_000_000),
        (pa.date64(), 86_400_000, 86_400_000_000),
    ],
)
def test_times(kind, value, micros):
    column = Arrow().decode([frame({"a": pa.array([value, None], kind)})]).columns["a"]
    assert column.dtype == np.dtype("datetime64[us]")
    assert column[:1].astype(np.int64).tolist() == [micros]
    assert np.isnat(column).tolist() == [False, True]


BIG = frame({"a": pa.nulls(10, pa.int64())})
REJECTED = [
    (b"", "not an Arrow stream, or cut off"),
    (b"{}" * 40, "not an Arrow stream"),
    (END, "not an Arrow stream"),
    (frame({"a": [1]}) + b"\0", "something follows the end of the stream"),
    (frame({"a": [1]}) + END, "something follows the end of the stream"),
    (frame({"a": [1]})[:-8], "cut off"),
    (frame({"a": ["x"]}), "a: expected a whole number, got text"),
    (frame({"a": [True]}), "a: expected a whole number, got true and false"),
    (frame({"a": pa.array([1], pa.timestamp("s"))}), "a: expected a whole number, got times"),
    (frame({"at": [1]}), "at: expected a time, got whole numbers"),
    (frame({"a": [[1]]}), "a: the type list<item: int64> is not read"),
    (frame({"a": pa.array([b"x"])}), "a: the type binary is not read"),
    (frame({"a": pa.array([1]).dictionary_encode()}), "is not read"),
    (frame({"a": [math.inf]}), "a: the number is out of range"),
    (frame({"a": pa.array([2**63], pa.uint64())}), "a: the whole number does not fit in 64 bits"),
    (frame({"a": pa.array([2**62], pa.timestamp("s"))}), "not an Arrow stream"),
    (frame({"": [1]}), "'' cannot name a column"),
    (frame({"x" * 300: [1]}), "cannot name a column"),
    (frame({"a": pa.nulls(5_000_000)}), "more than 4,194,304 values in one payload"),
    (frame({f"c{n}": [1] for n in range(1025)}), "more than 1024 different columns"),
]


@pytest.mark.parametrize(("payload", "reason"), REJECTED)
def test_a_bad_payload_is_rejected_and_its_neighbours_are_not(payload, reason):
    honest = frame({"a": [1, 2], "at": pa.array([0, 1], pa.timestamp("s"))})
    decoded = Arrow().decode([honest, payload, honest])
    assert decoded.rejected.keys() == {1}
    assert reason in decoded.rejected[1]
    assert decoded.columns["a"].tolist() == [1, 2, 1, 2]
    assert decoded.good.tolist() == [0, 0, 2, 2]
    assert list(decoded.columns) == ["a", "at"], "a rejected payload teaches nothing"


def test_columns_of_one_name():
    schema = pa.schema([("a", pa.int64()), ("a", pa.int64())])
    batch = pa.record_batch([pa.array([1]), pa.array([2])], schema=schema)
    decoded = Arrow().decode([frame_of(schema, [batch])])
    assert decoded.rejected == {0: "the column 'a' comes twice"}


def test_what_would_become_too_large_is_rejected(monkeypatch):
    monkeypatch.setattr(arrow_decode, "MAX_UNPACKED", 1_000)
    small, large = frame({"a": [0] * 10}, "lz4"), frame({"a": [0] * 1_000}, "lz4")
    assert len(large) < 1_000
    decoded = Arrow().decode([small, large])
    assert decoded.rejected == {1: "more than 1,000 bytes once it is unpacked"}
    assert Arrow(max_payload="100B").decode([small]).rejected[0].endswith("more than max_payload")


def test_metadata_that_came_before_do_not_hide_what_a_body_claims(monkeypatch):
    monkeypatch.setattr(arrow_decode, "MAX_UNPACKED", 1_000)
    honest = frame({"a": [0] * 10}, "lz4")
    size = honest.index(struct.pack("<q", 80))
    lie = honest[:size] + struct.pack("<q", 80_000) + honest[size + 8 :]
    decoded = Arrow().decode([honest, lie, honest[:-9], honest])
    assert decoded.rejected == {
        1: "more than 1,000 bytes once it is unpacked",
        2: "not an Arrow stream, or cut off",
    }


def test_only_a_few_metadata_are_remembered():
    claimed = Claimed()
    for rows in [*range(50), 7]:
        assert claimed.of(frame({"a": [1] * rows})) == Claims(rows, 0, 8 * rows)
    assert len(claimed._known) <= 16
    claimed.of(frame({"x" * 9_000: [1]}))
    assert max(map(len, claimed._known)) < 9_000


ODD = {
    "empty": [""],
    "wide": ["é" * 20, "x" * 40, "x" * 39],
    "long": ["x" * 41, "é" * 21],
    "with a NUL": ["a\0", "\0", "a\0b"],
    "missing": [None],
    "only empty": None,
}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("odd", ODD)
def test_many_texts_are_read_as_few_are(odd, kind):
    plain = [f"device-{row % 40}" for row in range(600)] + ["a", "b", "device-4\u00e9"]
    codec = wanting({"s"})
    for at in range(4):
        texts = [""] * 600 if ODD[odd] is None else plain[at:] + ODD[odd] * at + [f"new-{at}"]
        decoded = codec.decode([frame({"s": pa.array(texts, kind)})])
        assert decoded.columns["s"].to_list() == texts
    words = decoded.columns["s"].dictionary.values
    assert len(set(words)) == len(words)


def test_texts_are_found_where_an_array_begins():
    texts = [f"text-{row}" for row in range(1_000)]
    words = words_of(pa.types, pa.array(texts).slice(300, 500))
    assert [bytes(row).rstrip(b"\0").decode() for row in words] == texts[300:800]
    assert words_of(pa.types, pa.array(texts).slice(300, 50)) is None
    assert words_of(pa.types, pa.array([""] * 70_000)) is None  # they would be 40 bytes each


def test_only_wanted_columns_are_read():
    codec = wanting({"t", "g.x"}, {"t": "float"})
    decoded = codec.decode([frame({"t": [True, None], "l": [[1], [2]], "g": [{"x": 1}] * 2})])
    assert rows_of(decoded) == [{"t": 1.0, "g.x": 1}, {"t": None, "g.x": 1}]


def test_a_demanded_time():
    codec = wanting({"t"}, {"t": "time"})
    decoded = codec.decode([frame({"t": [1]}), frame({"u": [1]})])
    assert decoded.rejected == {0: "t: expected a time, got whole numbers"}
    assert np.isnat(decoded.columns["t"]).tolist() == [True]


def test_a_demanded_number_is_no_time():
    codec = wanting({"t"}, {"t": "float"})
    decoded = codec.decode([frame({"t": pa.array([1], pa.timestamp("s"))})])
    assert decoded.rejected == {0: "t: expected a number, got times"}


def test_kinds_widen_as_in_json():
    codec = Arrow()
    decoded = codec.decode([frame({"a": [1]}), frame({"a": [1.5]}), frame({"b": [1]})])
    assert to_python(decoded.columns["a"]) == [1.0, 1.5, None]
    assert to_python(decoded.columns["b"]) == [None, None, 1.0]
    again = codec.decode([frame({"a": [2], "b": [3]})])
    assert [column.dtype.name for column in again.columns.values()] == ["float64", "float64"]


def test_dictionaries_that_change_within_a_stream():
    schema = pa.schema([("d", pa.dictionary(pa.int32(), pa.string()))])
    one = pa.record_batch([pa.array(["a", "b"]).dictionary_encode()], schema=schema)
    two = pa.record_batch([pa.array(["c", "a", None]).dictionary_encode()], schema=schema)
    column = Arrow().decode([frame_of(schema, [one, two, one])]).columns["d"]
    assert column.to_list() == ["a", "b", "c", "a", None, "a", "b"]
    assert len(column.dictionary) == 3


def test_a_null_among_the_words_of_a_dictionary():
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None]))
    column = Arrow().decode([frame({"d": array})]).columns["d"]
    assert column.to_list() == ["a", None, None]


def test_streams_without_rows():
    schema = pa.schema([("a", pa.int64())])
    decoded = Arrow().decode([frame_of(schema, []), frame({"a": pa.array([], pa.int64())})])
    assert decoded.count == 0
    assert decoded.rejected == {}


def test_absent_columns_are_told():
    codec = wanting({"temprature"})
    codec.decode([frame({"temperature": [1]})])
    assert codec.absent == {"temprature": "did you mean 'temperature'?"}
    assert Arrow().schema() == Schema.unknown()


def test_a_snapshot_goes_on_where_the_first_run_was():
    first = Arrow()
    first.decode([frame({"a": [1, None], "at": pa.array([1, 2], pa.timestamp("s"))})])
    saved = first.snapshot()
    again = Arrow()
    again.restore(State(saved.version, json.loads(json.dumps(saved.meta)), {}))
    block = [frame({"a": [1]}), frame({"at": [1]}), frame({"a": ["x"]})]
    one, two = first.decode(block), again.decode(block)
    assert one.rejected == two.rejected
    assert sorted(one.rejected) == [1, 2]
    assert rows_of(one) == rows_of(two) == [{"a": 1.0, "at": None}]
    with pytest.raises(ConfigError, match="unknown version 7"):
        again.restore(State(7, {}, {}))


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Fatal, match=r"pip install 'edgestream\[arrow\]'"):
        Arrow().decode([b""])
    with pytest.raises(Fatal, match="pyarrow"):
        Arrow().encode(from_rows([{"a": 1}]))


ROW = st.fixed_dictionaries(
    {
        "n": st.integers(-(2**63), 2**63 - 1),
        "t": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "on": st.booleans(),
        "s": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        "at": st.none() | st.integers(-(2**60), 2**60),
    }
)


@settings(deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=5), together=st.booleans())
def test_what_was_written_is_read(rows, together):
    columns = {
        "n": np.array([row["n"] for row in rows]),
        "t": np.array([math.nan if row["t"] is None else row["t"] for row in rows]),
        "on": np.array([row["on"] for row in rows]),
        "s": Strings.of([row["s"] for row in rows]),
        "at": np.array([row["at"] for row in rows], "datetime64[us]"),
    }
    payloads = Arrow(rows="many" if together else "one").encode(
        Batch(columns, np.zeros(len(rows), np.int64))
    )
    assert len(payloads) == (1 if together else len(rows))
    decoded = Arrow().decode(payloads)
    got = decoded.columns
    assert got["at"].astype("int64").tolist() == columns["at"].astype("int64").tolist()
    for name in ("n", "t", "on", "s"):
        assert to_python(got[name]) == [row[name] for row in rows]


def test_nothing_to_write():
    assert Arrow().encode(from_rows([])) == []


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_truncated_and_flipped_payloads(compression):
    columns = {
        "d": pa.array(["a", "b"]).dictionary_encode(),
        "t": [1.5, None],
        "s": ["x", "yy"],
        "g": [{"x": 1}, None],
        "at": pa.array([1, 2], pa.timestamp("s")),
    }
    honest = frame(columns, compression)
    bad = [honest[:length] for length in range(len(honest))]
    chance = random.Random(1)
    for _ in range(500):
        flipped = bytearray(honest)
        flipped[chance.randrange(len(honest))] ^= 1 << chance.randrange(8)
        bad.append(bytes(flipped))
    block = []
    for at in range(0, len(bad), 10):
        block += [honest, *bad[at : at + 10]]
    codec = wanting({"d", "t", "s", "g.x", "at"})
    decoded = codec.decode(block)
    neighbours = np.arange(0, len(block), 11)
    assert not set(decoded.rejected) & set(neighbours.tolist())
    assert len(decoded.rejected) >= len(honest)
    first = np.searchsorted(decoded.good, neighbours)
    assert set(decoded.columns["s"][first].to_list()) == {"x"}
    assert set(decoded.columns["t"][first].tolist()) == {1.5}


def test_texts_are_weighed_and_forgotten():
    codec = Arrow()
    first = codec.decode([frame({"d": ["a", "b"]})])
    assert codec.state_bytes() > 0
    codec.shrink()
    assert codec.state_bytes() == 0
    again = codec.decode([frame({"d": ["b", "a"]}), frame({"d": ["a", "b"]})])
    assert again.columns["d"].to_list() == ["b", "a", "a", "b"]
    assert again.columns["d"].dictionary is not first.columns["d"].dictionary
