import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.codecs import columns as kinds_of_columns
from edgestream.codecs import json_decode
from edgestream.codecs.json import Json
from edgestream.component import State
from edgestream.errors import ConfigError
from edgestream.schema import Schema

CORPUS = Path(__file__).parents[1] / "data" / "payloads" / "json.jsonl"
CASES = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]


def payload_of(case) -> bytes:
    if "text" in case:
        return case["text"].encode()
    if "base64" in case:
        return base64.b64decode(case["base64"])
    parts = case["repeat"]
    return "".join(
        "".join(text % n for n in range(times)) if "%d" in text else text * times
        for text, times in parts
    ).encode()


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def wanting(names, demanded=None, **config):
    codec = Json(**config)
    codec.want(None if names is None else frozenset(names), demanded or {})
    return codec


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_corpus_of_payloads(case):
    payload = payload_of(case)
    decoded = wanting(None).decode([payload])
    if "rejected" in case:
        assert case["rejected"] in decoded.rejected[0]
        assert decoded.count == 0
    else:
        assert decoded.rejected == {}
        assert rows_of(decoded) == [case["row"]]


def test_no_payload_touches_its_neighbours():
    before, after = b'{"honest":1}', b'{"honest":2}'
    block = [before]
    for case in CASES:
        block += [payload_of(case), after]
    decoded = wanting(["honest"]).decode(block)
    assert not set(decoded.rejected) & {0, *range(2, len(block), 2)}
    values = decoded.columns["honest"]
    places = decoded.good.tolist()
    assert [values[places.index(place)] for place in range(2, len(block), 2)] == [2.0] * len(CASES)


TOGETHER = [
    [b'{"a":1} {"a":2}', b'{"x":[', b'{"a":3}', b']}{"a":4}'],
    [b'{"a":1}{"a":2}', b'{"a":3}', b'{"x":{}', b"}"],
    [b'{"a":1}{"a":2}', b'{"a":3}', b" "],
    [b'{"a":1,', b'"b":2}{"a":3}'],
    [b'{"a":1', b"}", b'{"a":2}{"a":3}'],
]


@pytest.mark.parametrize("block", TOGETHER)
@pytest.mark.parametrize("names", [None, ["a"]])
def test_payloads_that_only_together_are_json_are_rejected(block, names):
    """Joined with line ends these give as many objects as there are payloads, but other ones.

    A codec that knows the columns is the one to try it on: it takes its fastest way.
    """
    codec = wanting(names)
    codec.decode([b'{"a":1,"b":1}'] * 100)
    decoded = codec.decode(block)
    honest = [row for row, payload in enumerate(block) if payload == b'{"a":3}']
    assert decoded.rejected.keys() == set(range(len(block))) - set(honest)
    assert decoded.columns["a"].tolist() == [3] * len(honest)


def test_only_wanted_columns_are_read():
    decoded = wanting(["t", "gps.lat"]).decode([b'{"t":1,"z":"x","gps":{"lat":2.5,"alt":"y"}}'])
    assert set(decoded.columns) == {"t", "gps.lat"}
    assert rows_of(decoded) == [{"t": 1, "gps.lat": 2.5}]
    assert decoded.good is None


def test_no_column_is_wanted():
    decoded = wanting([]).decode([b'{"a":1}', b"[]", b"{}"])
    assert dict(decoded.columns) == {}
    assert decoded.count == 2
    assert decoded.good.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("payloads", "dtype", "values"),
    [
        (["1", "2"], "int64", [1, 2]),
        (["1", "2.5"], "float64", [1.0, 2.5]),
        (["1", "null"], "float64", [1.0, None]),
        (["1.0", "2"], "float64", [1.0, 2.0]),
        (["true", "false"], "bool", [True, False]),
        (["true", "null"], "float64", [1.0, None]),
        (["null", "null"], "float64", [None, None]),
        (["null", "5"], "float64", [None, 5.0]),
        (["18446744073709551616", "1"], "float64", [2.0**64, 1.0]),
        (['"a"', "null", '"b"'], "text", ["a", None, "b"]),
        (["[1, 2]", "null"], "text", ["[1,2]", None]),
    ],
)
def test_kinds_are_learnt_and_widened(payloads, dtype, values):
    decoded = wanting(["a"]).decode([f'{{"a":{text}}}'.encode() for text in payloads])
    column = decoded.columns["a"]
    assert ("text" if isinstance(column, Strings) else str(column.dtype)) == dtype
    assert to_python(column) == values


def test_a_missing_field_is_like_null():
    codec = wanting(["a", "b"])
    decoded = codec.decode([b'{"a":1}', b'{"b":true}', b'{"a":2,"b":null}'])
    assert to_python(decoded.columns["a"]) == [1.0, None, 2.0]
    assert to_python(decoded.columns["b"]) == [None, 1.0, None]


def test_a_column_that_missed_a_value_stays_float():
    codec = wanting(["a"])
    assert codec.decode([b'{"a":1}']).columns["a"].dtype == np.int64
    assert codec.decode([b"{}"]).columns["a"].dtype == np.float64
    assert codec.decode([b'{"a":1}']).columns["a"].dtype == np.float64


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        ("1", '"n/a"', "a: expected a whole number, got 'n/a'; that is what came before"),
        ("1.5", "true", "a: expected a number, got true"),
        ("1", "true", "a: expected a whole number, got true"),
        ('"x"', "1.5", "a: expected text, got 1.5"),
        ("true", "1", "a: expected true or false, got 1"),
        ("1", "[1]", "a: expected a whole number, got a list"),
        ("[1]", "1", "a: expected a list, got 1"),
        ("1", '{"b":1}', "a: expected a whole number, got an object; name one of its fields, "
         "such as a.b"),
        ("1", "9223372036854775808", "a: the whole number does not fit in 64 bits"),
        ('"x"', "9223372036854775808", "a: expected text, got 9223372036854775808"),
        ("1.5", "1" + "0" * 320, "a: the number is out of range"),
        ('"x"', '"' + "y" * 100 + '"', None),
        ("null", '{"b":1}', "a: expected a value, got an object; name one of its fields"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_rejected_and_its_neighbours_are_not(first, then, reason):
    block = [f'{{"a":{text}}}'.encode() for text in (first, then, first)]
    decoded = wanting(["a"]).decode(block)
    if reason is None:
        assert decoded.rejected == {}
        return
    assert reason in decoded.rejected[1]
    assert list(decoded.rejected) == [1]
    assert decoded.good.tolist() == [0, 2]


def test_a_rejected_row_teaches_nothing():
    codec = wanting(None)
    codec.decode([b'{"a":1}'])
    decoded = codec.decode([b'{"a":"x","b":1.5}', b'{"b":2}'])
    assert list(decoded.rejected) == [0]
    assert decoded.columns["b"].dtype == np.int64


def test_demanded_numbers_take_any_number_and_switches():
    codec = wanting(["a"], {"a": "float"})
    decoded = codec.decode([b'{"a":"1"}', b'{"a":1}', b'{"a":"x"}'])
    assert decoded.rejected == {
        0: "a: expected a number, got '1'; number(a) reads numbers that are written as text",
        2: "a: expected a whole number, got 'x'",
    }
    assert decoded.columns["a"].dtype == np.int64
    decoded = codec.decode([b'{"a":true}', b'{"a":2.5}', b'{"a":false}'])
    assert decoded.columns["a"].tolist() == [1.0, 2.5, 0.0]


def test_declared_columns_are_the_whole_schema():
    codec = Json(columns={"device": "string", "n": "int", "t": "float"})
    assert codec.schema() == Schema.of_kinds({"device": "string", "n": "int", "t": "float"})
    codec.want(None, {"n": "float"})
    block = [b'{"device":"a","n":1,"t":2,"other":[1]}', b'{"n":1.5}', b'{"n":2.0}', b'{"device":5}']
    decoded = codec.decode(block)
    assert rows_of(decoded) == [
        {"device": "a", "n": 1, "t": 2.0},
        {"device": None, "n": 2, "t": None},
    ]
    assert decoded.rejected == {
        1: "n: expected a whole number, got 1.5",
        3: "device: expected text, got 5",
    }
    assert Json().schema() == Schema.unknown()


def test_columns_that_never_came_are_told_with_the_nearest_names():
    codec = wanting(["temprature", "device", "gps.lat"])
    assert codec.absent == {}
    codec.decode([b"[]"])
    assert codec.absent == {}
    codec.decode([b'{"temperature":1,"device":"a","gps":{"latitude":1}}'])
    assert codec.absent == {
        "temprature": "did you mean 'temperature'?",
        "gps.lat": "did you mean 'gps.latitude'?",
    }
    codec.decode([b'{"temprature":1}'])
    assert set(codec.absent) == {"gps.lat"}
    assert wanting(None).absent == {}


def test_a_field_deep_in_what_is_not_read_does_no_harm():
    deep = b'{"a":1,"b":' + b"[" * 400 + b"]" * 400 + b"}"
    codec = wanting(["a"])
    assert codec.decode([deep]).columns["a"].tolist() == [1]


def test_new_fields_of_an_open_layout_are_noticed():
    codec = wanting(None)
    assert set(codec.decode([b'{"a":1}'] * 3).columns) == {"a"}
    decoded = codec.decode([b'{"a":1}', b'{"a":2,"b":{"c":"x"}}', b'{"b":{}}'])
    assert rows_of(decoded) == [
        {"a": 1, "b.c": None},
        {"a": 2, "b.c": "x"},
        {"a": None, "b.c": None},
    ]


def test_a_field_may_be_value_object_and_dotted_in_turn():
    for names in (None, ["a", "a.b"]):
        decoded = wanting(names).decode(
            [b'{"a":1}', b'{"a":{"b":2}}', b'{"a.b":3}', b'{"a":{"b":4},"a.b":5}']
        )
        assert to_python(decoded.columns["a"]) == [1.0, None, None, None]
        assert to_python(decoded.columns["a.b"])[:3] == [None, 2.0, 3.0]


def test_names_with_many_dots_have_few_spellings():
    name = ".".join("abcdefghijklmnop")
    nested: object = 1
    for key in reversed(name.split(".")):
        nested = {key: nested}
    decoded = wanting([name]).decode([json.dumps(nested).encode(), json.dumps({name: 2}).encode()])
    assert decoded.columns[name].tolist() == [1, 2]


def test_codes_keep_their_meaning_from_batch_to_batch():
    codec = wanting(["d"])
    one = codec.decode([b'{"d":"a"}', b'{"d":"b"}']).columns["d"]
    two = codec.decode([b'{"d":"c"}', b'{"d":"a"}']).columns["d"]
    assert one.dictionary is two.dictionary
    assert one.codes.tolist() == [0, 1]
    assert two.codes.tolist() == [2, 0]
    assert one.to_list() == ["a", "b"]


@pytest.mark.parametrize("bound", ["MAX_TEXTS", "MAX_TEXT_CHARACTERS"])
def test_a_dictionary_is_begun_anew_when_it_is_full(monkeypatch, bound):
    monkeypatch.setattr(kinds_of_columns, bound, 2)
    codec = wanting(["d"])
    one = codec.decode([b'{"d":"a"}', b'{"d":"b"}', b'{"d":"c"}']).columns["d"]
    two = codec.decode([b'{"d":"c"}']).columns["d"]
    assert one.dictionary is not two.dictionary
    assert one.to_list() == ["a", "b", "c"]
    assert two.to_list() == ["c"]


def test_few_rows_are_looked_at_in_python(monkeypatch):
    codec = wanting(["a", "b"])
    looked = 0
    form = codec._engine._form
    real = form.object

    def counted(payload):
        nonlocal looked
        looked += 1
        return real(payload)

    monkeypatch.setattr(form, "object", counted)
    first = json_decode.FIRST_CHUNK + json_decode.LOOKED_AT
    block = [b'{"a":1,"b":"x","c":[1]}'] * 5000
    codec.decode(block)
    assert looked <= first
    codec.decode([*block, b'{"a":null}', b"{}"])
    assert looked <= first
    codec.decode([*block, b"not JSON"])
    assert looked <= first + 1


def test_want_begins_anew():
    codec = wanting(["a"])
    codec.decode([b'{"a":"x"}'])
    codec.want(frozenset(["a"]), {})
    assert codec.decode([b'{"a":1}']).columns["a"].tolist() == [1]


def test_decoding_without_want_reads_all():
    assert rows_of(Json().decode([b'{"a":1}'])) == [{"a": 1}]
    assert Json().absent == {}


def test_a_state_is_json_and_fits_a_changed_pipeline():
    codec = wanting(["a", "b", "c"])
    codec.decode([b'{"a":1,"b":"x","c":true}', b'{"a":2}'])
    saved = codec.snapshot()
    assert saved == State(1, json.loads(json.dumps(saved.meta)), {})
    other = wanting(["a", "c", "d"], {"c": "float"})
    other.restore(saved)
    assert "expected a whole number" in other.decode([b'{"a":"x"}']).rejected[0]
    decoded = other.decode([b'{"a":1,"c":1.5,"d":"new"}'])
    assert rows_of(decoded) == [{"a": 1, "c": 1.5, "d": "new"}]
    with pytest.raises(ConfigError, match="version 2"):
        other.restore(State(2, {}, {}))


def test_bad_configuration_is_refused():
    with pytest.raises(ConfigError, match="cannot name a column"):
        Json(columns={'a"b': "float"})
    with pytest.raises(ConfigError, match="not one of the choices"):
        Json(columns={"a": "number"})
    with pytest.raises(ConfigError, match="at most 64MiB"):
        Json(max_payload="1GiB")
    with pytest.raises(ConfigError, match="can give the column"):
        wanting(["a\\b"])


def test_rows_are_written_one_object_each():
    batch = Batch(
        {
            "device": Strings.of(["a", None]),
            "n": np.array([1, -2]),
            "t": np.array([1.5, np.nan]),
            "on": np.array([True, False]),
            "at": np.array(["2026-11-24T10:00:00", "NaT"], "datetime64[us]"),
        },
        np.zeros(2, np.int64),
    )
    assert Json().encode(batch) == [
        b'{"device":"a","n":1,"t":1.5,"on":true,"at":"2026-11-24T10:00:00Z"}',
        b'{"device":null,"n":-2,"t":null,"on":false,"at":null}',
    ]


@pytest.mark.parametrize(
    ("moments", "texts"),
    [
        (["2026-01-01T00:00:00"], ["2026-01-01T00:00:00Z"]),
        (["2026-01-01T00:00:00.25"], ["2026-01-01T00:00:00.250Z"]),
        (["1969-12-31T23:59:59.999999"], ["1969-12-31T23:59:59.999999Z"]),
        (["2026-01-01T00:00:00", "2026-01-01T00:00:00.000001", "NaT", "1969-12-31T23:59:59.9"],
         ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", None, "1969-12-31T23:59:59.900Z"]),
        (["2026-01-01T00:00:00", "NaT", "2026-01-01T00:00:00.5"],
         ["2026-01-01T00:00:00Z", None, "2026-01-01T00:00:00.500Z"]),
        (["NaT"], [None]),
    ],
)  # fmt: skip
def test_times_are_written_in_utc(moments, texts):
    batch = Batch({"at": np.array(moments, "datetime64[us]")}, np.zeros(len(moments), np.int64))
    written = [json.loads(row)["at"] for row in Json().encode(batch)]
    assert written == texts
    for moment, text in zip(moments, written, strict=True):
        if text is not None:
            known = datetime.fromisoformat(moment).replace(tzinfo=UTC)
            assert datetime.fromisoformat(text) == known


def test_odd_batches_are_written_too():
    assert Json().encode(Batch({}, np.zeros(2, np.int64))) == [b"{}", b"{}"]
    assert Json().encode(Batch({"a": np.zeros(0)}, np.zeros(0, np.int64))) == []
    odd = from_rows([{'a"\n': "x\ny", "b.c": float("inf")}])
    assert Json().encode(odd) == [b'{"a\\"\\n":"x\\ny","b.c":null}']


def test_what_is_written_is_read_back():
    rows = [{"a": 1, "b": 'x\n"ü', "c.d": 1.5}, {"a": 2, "b": "", "c.d": -0.0}]
    assert rows_of(wanting(None).decode(Json().encode(from_rows(rows)))) == rows
