"""Whether payloads are read by their shape changes nothing: the same rows, rejections and kinds."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgestream.codecs import cbor_decode, shaped
from edgestream.codecs.cbor import Cbor
from edgestream.codecs.cbor_form import Loader

from . import by_shape

cbor2 = pytest.importorskip("cbor2")
pack = cbor2.dumps
HONEST = {"d": "a", "n": 1, "t": 1.5, "on": True, "g": {"x": 2.5, "u": "°C"}, "z": -7}


def read_by(few, blocks, names=None, demanded=None, **config):
    return by_shape.read_by(cbor_decode, few, Cbor(**config), blocks, names, demanded)


def assert_alike(blocks, **options):
    assert read_by(1, blocks, **options) == read_by(10**9, blocks, **options)


def test_payloads_of_one_shape_are_not_read_one_by_one(monkeypatch):
    loaded = 0
    real, real_all = Loader.load, Loader.load_all

    def load(self, payload):
        nonlocal loaded
        loaded += 1
        return real(self, payload)

    def load_all(self, payloads):
        nonlocal loaded
        loaded += len(payloads)
        return real_all(self, payloads)

    monkeypatch.setattr(Loader, "load", load)
    monkeypatch.setattr(Loader, "load_all", load_all)
    codec = Cbor()
    block = [
        pack({**HONEST, "n": n**3, "d": f"d{n % 70}", "g": {"x": n / 4, "u": "%"}})
        for n in range(500)
    ]
    codec.decode(block)
    loaded = 0
    decoded = codec.decode(block)
    assert loaded == 0
    assert decoded.columns["n"].tolist() == [n**3 for n in range(500)]
    assert decoded.columns["d"].to_list() == [f"d{n % 70}" for n in range(500)]
    assert decoded.columns["g.x"].tolist() == [n / 4 for n in range(500)]
    others = [pack({"n": n}) for n in range(500)]
    codec.decode(others)
    loaded = 0
    mixed = codec.decode([part for pair in zip(block, others, strict=True) for part in pair])
    assert loaded == 0
    assert mixed.columns["n"][1::2].tolist() == list(range(500))
    assert mixed.columns["d"].to_list()[:3] == ["d0", None, "d1"]


def key(name):
    return pack(name)


VALUES = [
    b"\x00",
    b"\x17",
    b"\x18\x05",
    b"\x19\x00\x05",
    b"\x1a\xff\xff\xff\xff",
    b"\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x1b\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x1b\x00\x20\x00\x00\x00\x00\x00\x01",
    b"\x20",
    b"\x38\xff",
    b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x3b\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x1c",
    b"\xf4",
    b"\xf5",
    b"\xf6",
    b"\xf7",
    b"\xf8\xff",
    b"\xe0",
    b"\xff",
    b"\xf9\x3c\x00",
    b"\xf9\x00\x01",
    b"\xf9\x7c\x00",
    b"\xf9\x7e\x00",
    b"\xfa\x3f\xc0\x00\x00",
    b"\xfa\x7f\x80\x00\x00",
    b"\xfb" + struct.pack(">d", -0.0),
    b"\xfb" + struct.pack(">d", 21.37),
    b"\xfb" + struct.pack(">d", float("nan")),
    b"\xfb" + struct.pack(">d", float("-inf")),
    b"\x60",
    b"\x61a",
    b"\x62\xc3\xa9",
    b"\x61\xc3",
    b"\x63\x00ab",
    b"\x78\x02ab",
    b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x7b\x00\x00\x00\x00\x00\x00\x00\x01c",
    b"\x7a\x00\x01\x00\x00ab",
    b"\x7f\x61a\xff",
    b"\x40",
    b"\x42\xff\x00",
    b"\x80",
    b"\x82\x01\x02",
    b"\xa0",
    b"\xa1\x61x\x01",
    b"\xc0\x61a",
    b"\xc2\x41\x01",
    b"\xd9\xd9\xf7\x01",
]
"""Values as they may be written, good and bad."""
NAMES = ["d", "n", "t", "on", "g", "z"]


def written(changes, order=NAMES):
    values = {name: pack(value) for name, value in HONEST.items()} | changes
    return bytes([0xA0 + len(order)]) + b"".join(key(name) + values[name] for name in order)


@pytest.mark.parametrize("names", [None, {"n", "t", "on", "d", "g.x"}, {"t", "z"}, {"d", "g"}])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lone", [False, True])
def test_every_value_in_every_field(name, names, lone):
    honest = pack(HONEST)
    for value in VALUES:
        odd = written({name: value})
        block = [honest, odd] if lone else [odd] * 3
        assert_alike([[honest] * 3, block, [honest, odd, honest], [honest]], names=names)


def test_all_values_at_once():
    honest = pack(HONEST)
    for name in NAMES:
        block = [written({name: value}) for value in VALUES]
        assert_alike([[honest] * 3, block, block[::-1], block], demanded={"t": "float"})
        assert_alike([[honest] * 3, block, block], names={"t", name}, demanded={name: "float"})


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"\xa0",
        b"\xa1\x61t\xf9\x3c\x00",
        pack(HONEST)[:-1],
        pack(HONEST) + b"\x00",
        pack(HONEST) * 2,
        b"\xd9\xd9\xf7" + pack(HONEST),
        b"\xd9\xd9\xf7" * 2 + pack(HONEST),
        written({}, [*NAMES[:-1], "n"]),
        written({}, NAMES[::-1]),
        b"\xa2\x61t\x01\x61t\xfb" + struct.pack(">d", 1),
        b"\xa2\x61t\xa1\x61x\x01\x61t\x02",
        b"\xbf\x61t\x01\xff",
        b"\xa1\x01\x02",
        pack({"g.x": 1}),
        pack({"g.x": 1, "g": {"x": 2}}),
        pack({"g": 5}),
        pack({"t": 1, "l": [1]}),
        pack({str(n): n for n in range(100)}),
        pack({"t": 1.5, "pad": "x" * 70_000}),
        b"\xe5\xed\x6e\x57\x9e\xa3\xc8\xd1",
        pack({"n": 0xE5_ED_6E_57_9E_A3_C8_D1}),
    ],
)
@pytest.mark.parametrize("names", [None, {"t", "n"}, {"g.x", "g"}])
def test_other_payloads_between_those_of_a_shape(other, names):
    honest = pack(HONEST)
    mixed = [honest, other, other, honest, other]
    assert_alike([[honest] * 3, mixed, mixed, [other] * 3, mixed], names=names)
    assert_alike([[other] * 3, mixed, [other] * 3], names=names, max_payload="1KiB")


ONE = st.sampled_from(VALUES)
CHANGES = st.dictionaries(st.sampled_from(NAMES), ONE, max_size=3)
PAYLOAD = st.one_of(
    st.just(pack(HONEST)),
    st.builds(written, CHANGES),
    st.builds(written, CHANGES, st.permutations(NAMES)),
    st.builds(written, CHANGES, st.lists(st.sampled_from(NAMES), max_size=7)),
    st.binary(max_size=12),
    st.builds(
        lambda at, bit: (
            (raw := bytearray(pack(HONEST))).__setitem__(at % len(raw), raw[at % len(raw)] ^ bit)
            or bytes(raw)
        ),
        st.integers(0, 200),
        st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]),
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    blocks=st.lists(st.lists(PAYLOAD, max_size=6), max_size=4),
    names=st.none() | st.frozensets(st.sampled_from([*NAMES, "g.x", "g.u"])),
    demanded=st.dictionaries(
        st.sampled_from(["t", "n", "on"]), st.sampled_from(["float", "int", "string", "bool"])
    ),
)
@example(blocks=[[b"\xa0"] * 2] * 3, names=None, demanded={})
def test_the_same_rows_and_rejections(blocks, names, demanded):
    assert_alike([[pack(HONEST)], *blocks], names=names, demanded=demanded)


def test_texts_that_were_forgotten_are_read_again(monkeypatch):
    monkeypatch.setattr(cbor_decode, "FEW", 1)
    codec = Cbor()
    block = [pack({"d": text}) for text in "abca"]
    for _ in range(3):
        assert codec.decode(block).columns["d"].to_list() == list("abca")
    assert codec.state_bytes() > 0
    codec.shrink()
    assert codec.state_bytes() == 0
    with monkeypatch.context() as patch:
        patch.setattr(cbor_decode, "FEW", 10)
        codec.decode([])
    assert codec._engine._known == {}
    decoded = codec.decode(block[2:])
    assert decoded.columns["d"].to_list() == ["c", "a"]
    assert len(decoded.columns["d"].dictionary) == 2
    assert codec.state_bytes() > 0


def test_no_more_shapes_are_kept_than_there_may_be(monkeypatch):
    monkeypatch.setattr(cbor_decode, "FEW", 1)
    codec = Cbor()
    for n in range(30):
        codec.decode([pack({f"f{n}": n})])
    assert len(codec._engine._shapes) == shaped.MAX_SHAPES
    decoded = codec.decode([pack({f"f{n}": n}) for n in range(30)])
    assert decoded.count == 30
    assert np.nansum([decoded.columns[f"f{n}"] for n in range(30)]) == sum(range(30))
