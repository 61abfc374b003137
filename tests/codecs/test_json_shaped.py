"""Whether payloads are read by their shape changes nothing: the same rows, rejections and kinds."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgestream.codecs import json_block, json_decode, json_shaped, shaped
from edgestream.codecs.json import Json

from . import by_shape

HONEST = {"d": "a", "n": 1, "t": 1.5, "on": True, "g": {"x": 2.5, "u": "°C"}, "z": -7, "s": None}


def written(row, **how):
    return json.dumps(row, ensure_ascii=False, **how).encode()


def read_by(few, blocks, names=None, demanded=None, **config):
    return by_shape.read_by(json_shaped, few, Json(**config), blocks, names, demanded)


def assert_alike(blocks, **options):
    become = read_by(1, blocks, **options)
    assert become == read_by(10**9, blocks, **options)
    assert become == read_by(1, [by_shape.where_they_lie(block) for block in blocks], **options)
    return become


def count_read(monkeypatch):
    """How many payloads were read one by one, from now on."""
    read = []
    real = json_decode.Reading._each

    def each(self, payloads):
        read.append(len(payloads))
        return real(self, payloads)

    monkeypatch.setattr(json_decode.Reading, "_each", each)
    return read


def test_payloads_of_one_shape_are_not_read_one_by_one(monkeypatch):
    read = count_read(monkeypatch)
    codec = Json()
    rows = [
        {"d": f"d{n % 7}", "n": n, "t": n / 4, "on": n % 3 == 0, "g": {"x": -n / 100}}
        for n in range(3 * json_shaped.FEW)
    ]
    codec.decode([written(rows[0])])
    codec.decode([written(row) for row in rows])  # the shape is learnt
    read.clear()
    decoded = codec.decode([written(row) for row in rows])
    assert read == []
    assert decoded.columns["d"].to_list() == [row["d"] for row in rows]
    assert decoded.columns["n"].tolist() == [row["n"] for row in rows]
    assert decoded.columns["n"].dtype == np.int64
    assert decoded.columns["t"].tolist() == [row["t"] for row in rows]
    assert decoded.columns["on"].tolist() == [row["on"] for row in rows]
    assert decoded.columns["g.x"].tolist() == [row["g"]["x"] for row in rows]


def test_what_has_another_shape_is_read_beside_it(monkeypatch):
    monkeypatch.setattr(json_shaped, "FEW", 1)
    read = count_read(monkeypatch)
    codec = Json()
    odd = [b'{"n":[1]}', b"{", b'{ "n": 5 }', b'{"n":6.0}', b'{"n":7,"m":"x"}']
    block = [b'{"n":1}', odd[0], b'{"n":2}', *odd[1:3], b'{"n":3}', *odd[3:], b'{"n":4}']
    codec.decode([b'{"n":1}'])
    codec.decode([b'{"n":1}'] * 40)
    read.clear()
    decoded = codec.decode(block * 4)
    assert read == [5 * 4]
    assert decoded.columns["n"].tolist() == [1, 2, 5, 3, 6, 7, 4] * 4
    assert decoded.columns["m"].to_list() == [None, None, None, None, None, "x", None] * 4
    assert sorted(decoded.rejected) == sorted(9 * lap + row for lap in range(4) for row in (1, 3))


def test_several_shapes_are_known_at_once(monkeypatch):
    monkeypatch.setattr(json_shaped, "FEW", 1)
    monkeypatch.setattr(json_shaped, "FEW_LEFT", 1)
    read = count_read(monkeypatch)
    codec = Json()
    codec.want(frozenset(["n", "d"]), {})
    ways = [b'{"n":%d,"d":"a"}', b'{"d":"b","n":%d}', b'{"n": %d}', b'{"x":{"y":1},"n":%d}']
    for _ in range(len(ways) + 1):
        codec.decode([way % n for n in range(9) for way in ways])
    read.clear()
    decoded = codec.decode([way % n for n in range(9) for way in ways])
    assert read == []
    assert decoded.columns["n"].tolist() == [n for n in range(9) for _ in ways]
    assert decoded.columns["d"].to_list() == ["a", "b", None, None] * 9


NUMBERS = [
    *("0", "-0", "7", "-7", "10", "123456", "1234567", "-123456", "-1234567", "12345678"),
    *("01", "-01", "00", "-", "", "+1", "1.", ".5", "-.5", "1.5.2", "1..2", "--1", "1-", "0x1"),
    *(
        "0.5",
        "-0.5",
        "0.0",
        "-0.0",
        "00.5",
        "21.53",
        "-21.5",
        "100.25",
        "1.0",
        "123.456",
        "1.234567",
    ),
    *("9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808"),
    *("-9223372036854775807", "-9223372036854775808", "-9223372036854775809"),
    *("18446744073709551616", "1234567890123456789", "99999999999999999999", "1764000000123"),
    *("0.1234567890123456", "0.12345678901234567", "21.530000000000001", "179.99999999999997"),
    *("1e5", "1E5", "1.5e-3", "1e400", "NaN", "Infinity", "-Infinity", "true", "null", "tru"),
    *("123456789012.123456789012345", "99999999999999999.99"),
    *("0.30000000000000004", "123456789.123456789", "9007199254740993.5", "4.35", "0.000001"),
    *("1 ", " 1", "1\n", "1\x00", "1\x80", "1\u0663", "12345678\u0663", "9\xff", "1,2", '1"'),
]
TEXTS = [
    *("", "a", "sensor-0001", "x" * 7, "x" * 8, "x" * 9, "x" * 15, "x" * 16, "x" * 39, "x" * 40),
    *("ü", "°C", "日本", "\x00", "\x1f", "\x7f", '"', '\\"', "\\", "\\n", "\\u00fc", "\n", "\t"),
    *("\x80", "\ud800", "a,b", "{", "}", "a\x00", "a"),
]


def raw(text):
    return text.encode("utf-8", "surrogatepass") if "\x80" not in text else text.encode("latin-1")


@pytest.mark.parametrize("kind", ["float", "int", "any", None])
def test_numbers(kind):
    """Each beside honest ones: those of one length, and those of many."""
    names = None if kind is None else ["t"]
    numbers = ("1.5", "1234.56789", "21.12345678901234567")
    samples = [b'{"z":1,"t":%s}' % number.encode() for number in numbers]
    if kind == "int":
        samples = [
            b'{"z":1,"t":15}',
            b'{"z":1,"t":1764000000123}',
            b'{"z":1,"t":1000000000000000000}',
        ]
    for sample in samples:
        for text in NUMBERS:
            payload = sample[:11] + raw(text) + b"}"
            unread = b'{"z":' + raw(text) + sample[6:]
            demanded = {"t": kind} if kind in ("int", "float") else {}
            blocks = [[sample], [sample] * 3, [payload, sample, payload], [sample, unread, sample]]
            assert_alike(blocks, names=names, demanded=demanded)


@pytest.mark.parametrize("names", [["d"], ["n"], None])
@pytest.mark.parametrize("length", [1, 11, 39])
def test_texts(names, length):
    sample = b'{"d":"%s","n":1}' % (b"s" * length)
    for text in TEXTS:
        payload = b'{"d":"%s","n":2}' % raw(text)
        assert_alike([[sample], [sample] * 3, [payload, sample, payload]], names=names)


def test_every_way_to_write_a_payload():
    for more in ({}, {"indent": 1}, {"separators": (",", ":")}):
        payload = written(HONEST, **more)
        ends = [payload + b"\n", payload + b" ", b" " + payload, payload + b"\x00", payload * 2]
        broken = [payload[:size] for size in range(len(payload))]
        assert_alike([[payload], [payload] * 3, [payload, *ends, payload, *broken, payload]])


def test_a_payload_that_is_cut_is_not_completed_by_the_next():
    """Together two halves look like a payload, but they are two bad ones."""
    payload = b'{"d":"a","n":1,"t":2.5}'
    for at in range(1, len(payload)):
        halves = [payload[:at], payload[at:]]
        block = [payload, *halves, payload, *halves]
        _, _, become, _ = assert_alike([[payload], [payload] * 3, block])
        assert become[2] == 2
        assert sorted(become[4]) == [1, 2, 4, 5]


def test_text_that_looks_like_an_escaped_one_is_another():
    """The first text has a backslash in it, the second a line end."""
    block = [b'{"d":"a\\\\n"}', b'{"d":"a\\n"}', b'{"d":"x"}', b'{"d":"a\n"}']
    become = assert_alike([[b'{"d":"x"}'], [b'{"d":"x"}'] * 3, block, block])
    assert become[2][0] == repr({"d": ["a\\n", "a\n", "x"]})


def test_numbers_are_the_nearest_there_are():
    rng = np.random.default_rng(5)
    floats = [
        *(rng.random(400) * 10.0 ** rng.integers(-3, 9, 400)),
        *(float(np.nextafter(2.0**power, way)) for power in range(-6, 50) for way in (0, 9e99)),
    ]
    halves = [f"{2**53 + 2 * n + 1}.0" for n in range(40)] + [
        f"{2**54 + 4 * n + 2}" for n in range(9)
    ]
    texts = [np.format_float_positional(value, unique=True, trim="0") for value in floats] + halves
    texts = [text for text in texts if len(text.replace(".", "")) < 20]
    block = [b'{"t":%s}' % text.encode() for text in texts]
    longest = max(block, key=len)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_shaped, "FEW", 1)
        codec = Json()
        codec.want(frozenset(["t"]), {"t": "float"})
        codec.decode([longest])
        codec.decode([longest])
        read = count_read(patch)
        decoded = codec.decode(block)
    assert decoded.columns["t"].tolist() == [float(text) for text in texts]
    # Halfway between two floats it is the parser's to say which one it is.
    assert sum(read) <= len(halves)


@pytest.mark.parametrize("names", [None, ["g.x", "g.y", "n"], ["n"]])
def test_names_that_come_twice(names):
    for payload in (b'{"g":{"x":1},"g":{"y":2}}', b'{"n":1,"n":2}', b'{"n":1,"m":1,"m":2}'):
        known = b'{"g":{"x":5,"y":6},"n":7,"m":8}'
        assert_alike([[known], *[[payload] * 3] * 3], names=names)


def test_behind_the_last_payload_nothing_of_an_earlier_block_is_left():
    room = json_block.Room()
    for text in (b"x" * 500, b"y" * 40):
        payloads = [text] * 3
        block = room.block(payloads, json_block.sizes_of(payloads), reach=300)
        end = int(block.ends[-1])
        assert block.bytes[block.starts[0] : end].tobytes() == text * 3
        assert not block.bytes[end : end + 300].any()
        assert len(block.bytes) >= end + 300 + 40


def test_a_column_that_changes_its_kind_meanwhile():
    block = [b'{"n":1}', b'{"n":2}', b'{"n":1.5}', b'{"n":3}']
    assert_alike([[b'{"n":1}'], [b'{"n":1}'] * 3, block, block])
    assert_alike([[b'{"n":1}'], [b'{"n":1}'] * 3, [b'{"n":1}', b'{"n":null}', b'{"n":3}']])


NAMES = sorted(HONEST)
VALUES = {
    "d": st.sampled_from([*TEXTS[:22], None, 1]),
    "n": st.integers(-(10**20), 10**20) | st.integers(-9, 9) | st.just(1.0),
    "t": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9) | st.just(-0.0),
    "on": st.booleans() | st.none() | st.just(1),
    "g": st.just({"x": 1}) | st.just({"u": "", "x": -2.25}) | st.just({}) | st.just(3),
    "z": st.integers(-(10**7), 10**7) | st.floats(-100, 100).map(lambda value: round(value, 2)),
    "s": st.none() | st.just("x"),
}
ROWS = st.fixed_dictionaries({}, optional=VALUES).map(lambda some: HONEST | some)
PAYLOAD = st.one_of(
    ROWS.map(written),
    ROWS.map(lambda row: written(row, separators=(",", ":"))),
    st.tuples(ROWS, st.permutations(NAMES)).map(
        lambda pair: written({name: pair[0][name] for name in pair[1]})
    ),
    st.tuples(st.integers(0, 200), st.binary(max_size=2)).map(
        lambda cut: written(HONEST)[: cut[0]] + cut[1] + written(HONEST)[cut[0] + 1 :]
    ),
)


@settings(max_examples=200, deadline=None)
@given(
    blocks=st.lists(st.lists(PAYLOAD, max_size=6), max_size=4),
    names=st.none() | st.frozensets(st.sampled_from([*NAMES, "g.x", "g.u"])),
    demanded=st.dictionaries(
        st.sampled_from(["t", "n", "on"]), st.sampled_from(["float", "int", "string", "bool"])
    ),
)
@example(blocks=[[b"{}"] * 2] * 3, names=None, demanded={})
def test_the_same_rows_and_rejections(blocks, names, demanded):
    assert_alike([[written(HONEST)], *blocks], names=names, demanded=demanded)


def test_payloads_that_are_too_large():
    small, large = b'{"d":"a","n":1}', b'{"d":"aaaaaaa","n":1}'
    assert_alike([[small], [small] * 3, [small, large, small]], max_payload="20B")


def test_a_block_of_very_many_bytes_is_not_copied(monkeypatch):
    monkeypatch.setattr(json_shaped, "MOST_BYTES", 100)
    monkeypatch.setattr(json_block, "Block", None)
    assert_alike([[b'{"n":1}'] * 20] * 3)


def test_no_more_shapes_are_kept_than_there_may_be(monkeypatch):
    monkeypatch.setattr(json_shaped, "FEW", 1)
    codec = Json()
    for n in range(30):
        codec.decode([written({f"f{n}": n})])
    assert len(codec._engine._shapes) == shaped.MAX_SHAPES


def test_shapes_are_not_looked_for_all_the_time_where_none_reads_anything(monkeypatch):
    monkeypatch.setattr(json_shaped, "FEW", 1)
    looked = []
    codec = Json()
    real = codec._running()._follow
    codec._running()._follow = lambda payloads: looked.append(1) or real(payloads)
    for _ in range(100):
        codec.decode([b'{"t":1e-5}'] * 3)
    assert 3 <= len(looked) <= 10
    for _ in range(100):
        codec.decode([b'{"t":1.5}'] * 3)
    assert len(looked) > 30


def test_values_written_in_one_way_are_read_so_until_one_is_not(monkeypatch):
    """Device and time go on as they were; the number is read by itself once it was otherwise."""
    monkeypatch.setattr(json_shaped, "FEW", 1)
    codec = Json()
    codec.want(frozenset(["d", "ts", "t"]), {"t": "float"})

    def block(*numbers):
        rows = [f'{{"d":"a{row}","ts":17640000000{row}0,"t":{t}}}' for row, t in enumerate(numbers)]
        return codec.decode([row.encode() for row in rows]).columns["t"].tolist()

    block("21.5")
    (shape,) = codec._engine._shapes
    assert block("21.5", "22.5") == [21.5, 22.5]
    assert shape._layouts == [b'""', b"0" * 13, b"00.0"]
    read = count_read(monkeypatch)
    assert block("23.5", "7.25", "-1", "24.5") == [23.5, 7.25, -1.0, 24.5]
    assert shape._layouts == [b'""', b"0" * 13, None]
    assert block("7", "-1.5", "0.125") == [7.0, -1.5, 0.125]
    assert read == []
    assert shape._layouts == [b'""', b"0" * 13, None]


def test_long_payloads_are_read_in_several_stretches(monkeypatch):
    monkeypatch.setattr(json_shaped, "FEW", 1)
    codec = Json()
    names = [f"a_name_that_is_long_{n}" for n in range(20)]
    rows = [{name: 10.125 + n + row for n, name in enumerate(names)} for row in range(9)]
    for _ in range(3):
        decoded = codec.decode([written(row) for row in rows])
    read = count_read(monkeypatch)
    decoded = codec.decode([written(row) for row in rows])
    assert read == []
    (shape,) = codec._engine._shapes
    assert len(shape._known) > 3
    assert max(stretch.bytes for stretch, _ in shape._known) < 256
    for name in names:
        assert decoded.columns[name].tolist() == [row[name] for row in rows]
