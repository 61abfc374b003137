"""Stretches against the regular expressions that say the same."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_block import Room, sizes_of
from edgestream.codecs.json_fixed import layout_of
from edgestream.codecs.json_stretch import Stretch

HONEST = {
    "number": ["0", "7", "21.5", "-3.25", "-0.5", "1764000000123", "123.4567890", "1.12345678"],
    "text": ["", "a", "sensor-0001", "°C", "x" * 8, "x" * 40],
    "flag": ["true", "false"],
}
KINDS = {"number": "float", "text": "string", "flag": "bool"}
LITERALS = st.sampled_from(['{"a":', ',"b":', ', "temperature": ', '"', '","ü":'])
VALUES = st.sampled_from(sorted(HONEST)).flatmap(
    lambda form: st.tuples(st.just(form), st.sampled_from(HONEST[form]))
)


@st.composite
def stretches(draw):
    """A stretch, what it is written like, and an expression for all that is written so."""
    values = draw(st.lists(VALUES, max_size=4))
    literals = draw(st.lists(LITERALS, min_size=len(values) + 1, max_size=len(values) + 1))
    literals = [text.encode() for text in literals]
    raw, said = literals[0], re.escape(literals[0])
    made = []
    for number, ((form, value), literal) in enumerate(zip(values, literals[1:], strict=True)):
        layout = layout_of(form, value.encode())
        made.append((form, layout, Learnt(str(number), KINDS[form])))
        raw += value.encode() + literal
        said += b"(" + expression(form, layout) + b")" + re.escape(literal)
    return Stretch(literals, made), raw, re.compile(said)


def expression(form, layout):
    if form == "text":
        return rb'[^"]{%d}' % len(layout)
    if form == "flag":
        return layout
    digits = re.escape(layout).replace(b"0", b"[0-9]")
    return rb"(?!-?0[0-9])" + digits


def is_of(raw, value):
    """Whether a value is what its bytes say: words of a text, a flag or a number."""
    if isinstance(value, np.ndarray):
        return raw == value.tobytes().rstrip(b"\0")
    if isinstance(value, np.bool_):
        return value == (raw == b"true")
    made = float(raw) if b"." in raw or int(raw) else 0.0
    return repr(value.item()) == repr(made)


@settings(max_examples=300)
@given(
    made=stretches(),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([*b'0159.-"ae', 0xA2, 0xC3, 0x80, 0xFF])),
        max_size=8,
    ),
    rows=st.integers(1, 3),
    behind=st.binary(max_size=3),
)
@example(
    made=(Stretch([b"{", b"}"], [("number", b"00", None)]), b"{21}", re.compile(rb"{[1-9][0-9]}")),
    changes=[(1, ord("0"))],
    rows=1,
    behind=b"",
)
def test_the_same_is_found_as_by_an_expression(made, changes, rows, behind):
    stretch, raw, said = made
    payloads = [raw + behind] * rows
    for at, byte in changes:
        payloads.append(raw[: at % len(raw)] + bytes([byte]) + raw[at % len(raw) + 1 :] + behind)
    room = Room()
    block = room.block(payloads, sizes_of(payloads), stretch.bytes)
    found, good = stretch.look(block, block.starts)
    good = np.ones(len(payloads), np.bool_) if good is None else good
    for payload, taken in zip(payloads, good.tolist(), strict=True):
        if taken:
            assert said.match(payload)
        elif said.match(payload):
            assert b"\xa2" in payload
    chosen = found.keep(good)
    texts = [said.match(one).groups() for one, taken in zip(payloads, good, strict=True) if taken]
    for name, value in stretch.values if texts else ():
        read, sure = value.read(chosen)
        sure = np.ones(len(read), np.bool_) if sure is None else sure
        assert sure.all()
        for text, one in zip(texts, read, strict=True):
            assert is_of(text[int(name)], one)


@pytest.mark.parametrize("rows", [1, 511, 4778, 4779, 9557])
def test_as_many_rows_as_there_are(rows):
    """Rows are looked at so many at a time: none is left out before, at or behind them."""
    stretch = Stretch([b'{"n":', b"}"], [("number", b"000", Learnt("n", "int"))])
    payloads = [b'{"n":%d}' % (100 + row % 900) for row in range(rows)]
    block = Room().block(payloads, sizes_of(payloads), stretch.bytes)
    found, good = stretch.look(block, block.starts)
    assert good is None
    numbers, _ = stretch.values[0][1].read(found)
    assert numbers.tolist() == [100 + row % 900 for row in range(rows)]
    for odd in {0, rows // 2, rows - 1}:
        changed = [*payloads]
        changed[odd] = b'{"n":1x0}'
        block = Room().block(changed, sizes_of(changed), stretch.bytes)
        _, good = stretch.look(block, block.starts)
        assert np.flatnonzero(~good).tolist() == [odd]


def test_whole_numbers_that_do_not_fit_are_not_sure():
    stretch = Stretch([b"{", b"}"], [("number", b"-" + b"0" * 19, Learnt("n", "int"))])
    payloads = [b"{-9223372036854775807}", b"{-9223372036854775809}"]
    block = Room().block(payloads, sizes_of(payloads), stretch.bytes)
    found, good = stretch.look(block, block.starts)
    numbers, sure = stretch.values[0][1].read(found)
    assert good is None
    assert sure.tolist() == [True, False]
    assert numbers[0] == -9223372036854775807
