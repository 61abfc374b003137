"""The fast, typed decoding gives what the plain one gives, however the payloads are cut."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from edgestream.batch import to_python
from edgestream.codecs import json_decode, json_shaped, shaped
from edgestream.codecs.json import Json
from edgestream.component import State
from tests.codecs.reference import Reference

NAMES = ("device", "n", "t", "on", "gps", "gps.lat", "gps.lon", "tags")

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)

WHOLE = st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    WHOLE,
    st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**30, 10**309, -(10**400)]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1.0, -0.0, 2.0**63, 1e300]),
    st.text(max_size=4),
    st.lists(st.integers() | st.text(max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["lat", "lon", "x", "a.b", ""]), st.integers(), max_size=2),
)
HOME = {
    "device": st.sampled_from(["d1", "d2", "ü", "\n"]),
    "n": WHOLE,
    "t": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    "on": st.booleans(),
    "gps": st.fixed_dictionaries(
        {}, optional={"lat": st.floats(-90, 90), "lon": st.floats(-180, 180) | st.none()}
    ),
    "gps.lat": st.floats(-90, 90),
    "tags": st.lists(st.text(max_size=3), max_size=2),
    "extra": st.integers(),
}


BROKEN = [
    *(b"", b" ", b"[]", b"3", b'"x"', b"null", b"[{}]", b"{", b'{"n":NaN}', b'{"t":1e400}'),
    *(b'{"n":"\\ud800"}', b'{"zz":1e400}', b'{"n":-0}', b'{"t":1E5,"n":1.0}', b'{"zz":"\xff"}'),
    *(b'{"device":"\xff"}', b'{"n":' + b"9" * 5000 + b"}", b'{"zz":' + b"9" * 5000 + b"}"),
]


@st.composite
def rows(draw):
    """Mostly rows as devices send them, now and then with something odd in a field."""
    names = draw(st.lists(st.sampled_from(sorted(HOME)), unique=True, max_size=6))
    row = {name: draw(HOME[name]) for name in names}
    if draw(st.integers(0, 4)) == 0:
        row[draw(st.sampled_from([*NAMES, "lat", "k\\", ""]))] = draw(ODD)
    return row


@st.composite
def payloads(draw):
    """Mostly JSON objects, now and then broken, doubled, or with a key that comes twice."""
    text = json.dumps(
        draw(rows()),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, None, 1])),
    )
    payload = text.encode()
    damage = draw(st.integers(0, 14))
    if damage == 0:
        payload = payload[: draw(st.integers(0, len(payload)))]
    elif damage == 1:
        at = draw(st.integers(0, len(payload)))
        payload = payload[:at] + draw(st.binary(min_size=1, max_size=2)) + payload[at:]
    elif damage == 2:
        payload += draw(st.sampled_from([b"\n", b" ", b"{}", b"\n{}", b",", b"]", b"\x00"]))
    elif damage == 3:
        twice = json.dumps({draw(st.sampled_from(NAMES)): draw(ODD)}).encode()
        payload = twice[:-1] + b"," + payload[1:] if len(payload) > 2 else twice
    elif damage == 4:
        payload = draw(st.sampled_from(BROKEN))
    return payload


WANTED = st.none() | st.frozensets(
    st.sampled_from([*NAMES, "lat", "never", "gps.lat.x"]), max_size=5
)
DEMANDED = st.dictionaries(
    st.sampled_from(["t", "n", "device", "on", "gps.lat"]),
    st.sampled_from(["float", "int", "bool", "string", "any", "time"]),
    max_size=2,
)
DECLARED = st.dictionaries(
    st.sampled_from(["t", "n", "device", "on", "gps.lat"]),
    st.sampled_from(["float", "int", "bool", "string"]),
    min_size=1,
    max_size=3,
)


def told(rows, names):
    """Rows with all names, lists as JSON text, so that they can be compared."""
    return [
        [json.dumps(v) if isinstance(v, list) else v for v in map(row.get, names)] for row in rows
    ]


def given_by(decoded, names, kinds):
    columns = [to_python(decoded.columns[name]) for name in names]
    made = [list(values) for values in zip(*columns, strict=True)] if names else []
    arrays = [index for index, name in enumerate(names) if kinds.get(name) == "array"]
    for row in made:
        for index in arrays:
            if row[index] is not None:
                row[index] = json.dumps(json.loads(row[index]))
    return made or [[] for _ in range(decoded.count)]


def check(codec, reference, block):
    """One block by both: the same rows rejected, the same values in the others."""
    decoded = codec.decode(block)
    rows, rejected = reference.decode(block)
    assert sorted(decoded.rejected) == rejected
    assert decoded.count == len(rows)
    good = [row for row in range(len(block)) if row not in decoded.rejected]
    assert (decoded.good is None) == (not rejected)
    assert decoded.good is None or decoded.good.tolist() == good
    names = list(decoded.columns)
    assert {name for row in rows for name, value in row.items() if value is not None} <= set(names)
    for name in names:
        assert len(decoded.columns[name]) == decoded.count
    expected = told(rows, names)
    assert same(given_by(decoded, names, reference.kinds), expected)
    for name, column in decoded.columns.items():
        if isinstance(column, np.ndarray) and column.dtype == np.int64:
            assert column.tolist() == [row.get(name) for row in rows]
    return decoded


def same(found, expected):
    """Equal; a whole number in a column that became one of floats is as near as floats are."""
    return [[near(value) for value in row] for row in found] == [
        [near(value) for value in row] for row in expected
    ]


def near(value):
    return float(value) if isinstance(value, int) else value


@pytest.fixture(autouse=True, params=[1, 10**9], ids=["by shape", "one by one"])
def _small_chunks(monkeypatch, request):
    """Chunks so small that blocks of a few payloads fill several."""
    monkeypatch.setattr(json_decode, "CHUNK", 4)
    monkeypatch.setattr(json_decode, "FIRST_CHUNK", 3)
    monkeypatch.setattr(json_shaped, "FEW", request.param)
    monkeypatch.setattr(shaped, "TOGETHER", 5)


@settings(max_examples=150, deadline=None, phases=PHASES)
@given(st.lists(st.lists(payloads(), max_size=12), max_size=3), WANTED, DEMANDED)
@example([[b'{"n":1}', b'{"n":' + b"9" * 30 + b"}", b'{"device":"x"}']], None, {})
@example([[b'{"n":true}', b'{"n":1}', b'{"n":1.5}']], frozenset(["n"]), {"n": "float"})
@example([[b'{"gps":1}', b'{"gps":{"lat":1}}', b'{"gps":null}', b"{}"]], None, {})
@example([[b'{"gps":{"lat":1}}', b'{"gps.lat":2}', b'{"gps":[1],"gps.lat":3}']], None, {})
@example([[b'{"gps":{"lat":1}}', b'{"gps":5}', b'{"gps":{"lat":2}}']], frozenset(["gps.lat"]), {})
@example([[b'{"gps":{"lat":1}}', b'{"gps":5}']], frozenset(["gps.lat", "gps"]), {})
def test_any_block_is_decoded_as_the_reference_does(blocks, wanted, demanded):
    codec, reference = Json(), Reference(wanted, demanded)
    codec.want(wanted, demanded)
    for block in blocks:
        check(codec, reference, block)


@settings(max_examples=50, deadline=None, phases=PHASES)
@given(st.lists(payloads(), max_size=12), DECLARED)
def test_declared_columns_are_decoded_as_the_reference_does(block, declared):
    codec = Json(columns=declared)
    codec.want(None, {})
    check(codec, Reference(set(declared), None, declared), block)


@settings(max_examples=50, deadline=None, phases=PHASES)
@given(st.lists(payloads(), max_size=20), st.lists(st.integers(0, 20), max_size=4), WANTED)
def test_what_is_accepted_does_not_depend_on_the_batches(block, cuts, wanted):
    whole, parts = Json(), Json()
    whole.want(wanted, {})
    parts.want(wanted, {})
    at_once = whole.decode(block)
    rejected: dict[int, str] = {}
    rows: list[dict] = []
    edges = sorted({0, len(block), *(cut for cut in cuts if cut < len(block))})
    for start, end in itertools.pairwise(edges):
        part = parts.decode(block[start:end])
        rejected |= {start + row: why for row, why in part.rejected.items()}
        lists = {name: to_python(column) for name, column in part.columns.items()}
        rows += [{name: values[row] for name, values in lists.items()} for row in range(part.count)]
    assert rejected == dict(at_once.rejected)
    names = list(at_once.columns)
    lists = [to_python(at_once.columns[name]) for name in names]
    expected = [list(values) for values in zip(*lists, strict=True)]
    if names:
        assert same([[row.get(name) for name in names] for row in rows], expected)


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.lists(payloads(), max_size=10), st.lists(payloads(), max_size=10), WANTED, DEMANDED)
def test_a_restored_codec_goes_on_as_if_it_had_never_stopped(first, second, wanted, demanded):
    codec = Json()
    codec.want(wanted, demanded)
    codec.decode(first)
    saved = codec.snapshot()
    assert saved is not None
    thawed = State(saved.version, json.loads(json.dumps(saved.meta)), saved.arrays)
    again = Json()
    again.want(wanted, demanded)
    again.restore(thawed)
    one, two = codec.decode(second), again.decode(second)
    assert dict(one.rejected) == dict(two.rejected)
    assert set(one.columns) == set(two.columns)
    for name, column in one.columns.items():
        other = two.columns[name]
        assert to_python(column) == to_python(other)
        if isinstance(column, np.ndarray):
            assert column.dtype == other.dtype
