"""Whether packs are resolved together changes nothing: the same rows and the same rejections."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import to_python
from edgestream.codecs import senml_packs
from edgestream.codecs.senml import Senml
from edgestream.codecs.senml_packs import from_json

FIELDS = {
    "bn": ['"d:"', '""', '"a b"', "1", "null", '"' + "x" * 1_024 + '"', '"' + "x" * 1_025 + '"'],
    "bt": ["0", "1e9", "1764000000", "-0", "1e300", "9007199254740993", "true", '"1"'],
    "bu": ['"Cel"', '""', "null", "5"],
    "bver": ["10", "1", "0", "11", "true", "5.0", "null"],
    "bv": ["1", "0.5"],
    "bs": ["1"],
    "n": ['"t"', '"t\\n"', '"a\\nb"', '""', '"-"', '"\\u0041"', '"é"', '"\\ud800"', "7", "null"],
    "u": ['"V"', '""', "null", "[]"],
    "v": [
        "1e-400",
        "true",
        "null",
        '"1"',
        "9" * 400,
        "1",
        "-0",
        "-0.0",
        "2.5",
        "1e400",
        "9007199254740993",
        "18446744073709551616",
    ],
    "vs": ['"x"', '""', '"°"', "null", "1"],
    "vb": ["true", "false", "1", "null"],
    "vd": ['"-_8"', '"+"'],
    "s": ["3", "null"],
    "t": [
        "0",
        "-2.5",
        "268435455",
        "268435456",
        "1764000000.123456",
        "0.0000005",
        "1e12",
        "-1e12",
        "8999999999999",
        "9007199254740993",
        "-9007199254740992",
        "1e308",
        "null",
        '"1"',
        "1764000000.0000005",
    ],
    "ut": ["5"],
    "x": ["1", "[1]", '{"a":null}'],
    "x_": ["1"],
}
USUAL = {"n": '"t"', "v": "1.5", "t": "1764000000"}
OTHERS = [
    b"",
    b"[]",
    b"{}",
    b"[1]",
    b'[{"n":"\xff","v":1}]',
    b'[{"n":"a","v":1,"vs\xff":1}]',
    b'[{"n":"a","v":1}] 2',
    b'[{"n":"a","v":1},]',
    b'\xef\xbb\xbf[{"n":"a","v":1}]',
    b'[{"n":"a","n":"b","v":1}]',
    b'[{"bn":"a"},{"bn":"b"},{"v":1},{"bn":"","n":"c","v":2}]',
    b'[{"bn":"a","bt":5},{"n":"x","bt":1e9,"v":1},{"t":7,"n":"y","vs":"z"},{"vb":true,"n":"w"}]',
    b'[{"bt":9007199254740993,"n":"x","v":1,"t":-9007199254740992}]',
    b"[" * 100_000,
]
HONEST = b'[{"bn":"d:","bu":"V","bt":1764000000},{"n":"t","v":1.5},{"n":"s","u":"","vs":"x"}]'


def record(fields):
    return "{" + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}"


def pack(*records):
    return ("[" + ",".join(map(record, records)) + "]").encode()


def read(block, names, together):
    codec = Senml()
    codec.want(None if names is None else frozenset(names), {})
    with pytest.MonkeyPatch.context() as patch:
        if not together:
            patch.setattr(senml_packs, "plain", lambda payload: None)
        decoded = codec.decode(block)
    columns = {
        name: column.astype(np.int64).tolist() if name == "time" else to_python(column)
        for name, column in decoded.columns.items()
    }
    kinds = {name: str(getattr(column, "dtype", "")) for name, column in decoded.columns.items()}
    relative = {name: mask.tolist() for name, mask in decoded.from_arrival.items()}
    return [repr(columns), kinds, relative, decoded.good.tolist(), decoded.rejected]


def assert_alike(block, names=None):
    assert read(block, names, together=True) == read(block, names, together=False)


@pytest.mark.parametrize("field", FIELDS)
def test_every_value_of_every_field(field):
    packs = [
        made
        for value in FIELDS[field]
        for usual in (USUAL, {"n": '"t"'}, {"bn": '"b"', "vs": '"x"'}, {})
        for made in (
            pack({**usual, field: value}),
            pack({field: value, **usual}, USUAL),
            pack(USUAL, {**usual, field: value}, {"n": '"u"', "v": "2"}),
        )
    ]
    assert_alike([HONEST, *packs, HONEST])
    for one in packs:
        assert_alike([HONEST, one, HONEST], {"name", "time", "value"})


def test_values_beside_each_other():
    for (one, two), names in itertools.product(
        itertools.combinations(["v", "vs", "vb", "vd", "s", "bv", "bs", "ut"], 2), (None, {"sum"})
    ):
        for values in itertools.product(FIELDS[one][:3], FIELDS[two][:2]):
            assert_alike([pack({"n": '"a"', one: values[0], two: values[1]}), HONEST], names)


@pytest.mark.parametrize("other", OTHERS)
def test_other_packs_between_usual_ones(other):
    assert_alike([HONEST, other, HONEST, other])
    assert_alike([other])


def test_packs_of_usual_fields_are_not_resolved_one_by_one(monkeypatch):
    resolved = []
    monkeypatch.setattr(
        senml_packs, "from_json", lambda raw: resolved.append(raw) or from_json(raw)
    )
    odd = pack({**USUAL, "s": "1"})
    decoded = Senml().decode([HONEST, odd, HONEST])
    assert resolved == [odd]
    assert decoded.columns["name"].to_list() == ["d:t", "d:s", "t", "d:t", "d:s"]
    assert decoded.columns["unit"].to_list() == ["V", "", None, "V", ""]
    assert decoded.good.tolist() == [0, 0, 1, 2, 2]


RECORD = st.lists(st.sampled_from(sorted(FIELDS)), max_size=4, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: st.sampled_from(FIELDS[key]) for key in keys})
)
PACK = st.lists(RECORD | st.just(USUAL), max_size=4).map(lambda records: pack(*records))


@settings(max_examples=300, deadline=None)
@given(block=st.lists(PACK | st.sampled_from(OTHERS) | st.just(HONEST), max_size=5))
def test_the_same_rows_and_rejections(block):
    assert_alike(block)
