"""Bytes in, frames out: every split, forged frames, lying lengths, noise without end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream_connectors.lora_serial.frames import (
    MAX_DATA,
    MAX_NOISE,
    Event,
    Frame,
    LineParser,
    Parser,
    RylrParser,
)


def rcv(data: bytes, address: int = 7, rssi: int = -60, snr: int = 11) -> bytes:
    return b"+RCV=%d,%d,%s,%d,%d\r\n" % (address, len(data), data, rssi, snr)


def datas(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Frame)]


def answers(events: list[Event]) -> list[str]:
    return [event for event in events if isinstance(event, str)]


def read(parser: Parser, *pieces: bytes) -> list[Event]:
    return [event for piece in pieces for event in parser.receive(piece)]


def test_a_frame_has_its_data_and_its_radio() -> None:
    raw = b"+RCV=50,5,HELLO,-99,40\r\n"
    assert RylrParser().receive(raw) == [Frame(b"HELLO", raw, 50, -99, 40.0)]


@pytest.mark.parametrize(
    "tail", [b"-99,-7", b"-120,0", b"0,7", b"-99,9.25"], ids=["negative", "zero", "near", "decimal"]
)
def test_the_tail_takes_what_modems_write(tail: bytes) -> None:
    (event,) = RylrParser().receive(b"+RCV=1,2,ab," + tail + b"\n")
    assert isinstance(event, Frame)
    assert (event.rssi, event.snr) == (int(tail.split(b",")[0]), float(tail.split(b",")[1]))


FORGED = [
    b"",
    b",",
    b"a,b,-1,2",
    b"\r\n",
    b"{\r\n}",
    b"x\r\n+RCV=9,3,abc,-1,1\r\n",
    b"\r\n+OK\r\n",
    b"+RCV=9,3,abc,-1,1\r\n",
    b"+RCV=9,240,",
    bytes(range(240)),
    b"\r\n+ERR=4\r\n",
]


@pytest.mark.parametrize("data", FORGED, ids=range(len(FORGED)))
def test_the_length_rules_whatever_the_data_pretends(data: bytes) -> None:
    parser = RylrParser()
    events = read(parser, rcv(data) + rcv(b"next"))
    assert datas(events) == [data, b"next"]
    assert (answers(events), parser.damaged, parser.begun) == ([], 0, False)


def test_every_split_gives_the_same_events() -> None:
    stream = (
        rcv(b"one") + b"+OK\r\n" + rcv(b"x\r\n+RCV=9,3,abc,-1,1\r\n") + b"\x00\xffnoise\r\n"
        b"+RCV=3,9,short,-1,1\r\n" + rcv(b"after, all") + b"+ADDRESS=120\r\n"
    )
    whole = RylrParser()
    events = whole.receive(stream)
    assert datas(events) == [b"one", b"x\r\n+RCV=9,3,abc,-1,1\r\n", b"after, all"]
    assert answers(events) == ["+OK", "+ADDRESS=120"]
    assert whole.damaged == 2
    for i in range(len(stream)):
        for j in range(i, len(stream), 7):
            parts = RylrParser()
            assert read(parts, stream[:i], stream[i:j], stream[j:]) == events
            assert parts.damaged == 2
    single = RylrParser()
    assert read(single, *(stream[i : i + 1] for i in range(len(stream)))) == events


@pytest.mark.parametrize(
    "bad",
    [
        b"+RCV=7,99,short,-60,11\r\n",
        b"+RCV=7,2,longer than two,-60,11\r\n",
        b"+RCV=7,241,x,-60,11\r\n",
        b"+RCV=7,999,x,-60,11\r\n",
        b"+RCV=70000,1,x,-60,11\r\n",
        b"+RCV=,1,x,-60,11\r\n",
        b"+RCV=7,-1,x,-60,11\r\n",
        b"+RCV=7,1,x,sixty,11\r\n",
        b"+RCV=7,1,x,-60\r\n",
        b"+RCV=7,5,HEL",
        b"+RCV=7,5",
        b"+RC",
        b"noise without an end ",
        b"\x00" * 50 + b"\n",
        b"plain words\r\n",
        b"+OK but not only\r\n",
        b"+CV=7,1,x,-60,11\r\n",
    ],
)
def test_damage_costs_one_frame_and_is_counted_once(bad: bytes) -> None:
    parser = RylrParser()
    parser.receive(rcv(b"before"))
    events = read(parser, bad, rcv(b"after"))
    events += parser.settle()
    assert datas(events) == [b"after"]
    assert parser.damaged == 1


def test_bytes_lost_within_a_frame_cost_only_that_frame() -> None:
    good = rcv(b"good one")
    for missing in range(len(good)):
        broken = good[:missing] + good[missing + 1 :]
        parser = RylrParser()
        events = read(parser, rcv(b"before"), broken, rcv(b"after"))
        events += parser.settle()
        found = datas(events)
        assert found[0] == b"before"
        assert found[-1] == b"after"
        assert (len(found), parser.damaged) in ((2, 1), (3, 0))


def test_a_length_that_lies_does_not_hold_the_next_frames_for_ever() -> None:
    parser = RylrParser()
    assert read(parser, b"+RCV=7,200,short,-60,11\r\n", rcv(b"one"), rcv(b"two")) == []
    assert parser.begun
    assert datas(parser.settle()) == [b"one", b"two"]
    assert (parser.damaged, parser.begun) == (1, False)


def test_a_megabyte_without_a_line_end_is_kept_out_of_memory() -> None:
    for noise in (b"x", b"+RCV=", b"+RCV=1,1,", b"\n", b"+", b"\r\n+RCV=1,240,"):
        parser = RylrParser()
        events: list[Event] = []
        for start in range(0, 1 << 20, 1 << 16):
            events += parser.receive((noise * (1 << 20))[start : start + (1 << 16)])
            assert len(parser._buffer) <= MAX_NOISE + MAX_DATA
        events += read(parser, b"\r\n", rcv(b"alive"))
        events += parser.settle()
        assert datas(events)[-1:] == [b"alive"]


@given(
    st.lists(st.one_of(st.binary(max_size=240).map(rcv), st.binary(max_size=60)), max_size=8),
    st.integers(1, 50),
)
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_it_and_splits_do_not_matter(parts: list[bytes], size: int) -> None:
    stream = b"".join(parts)
    whole, pieces = RylrParser(), RylrParser()
    events = whole.receive(stream)
    split = read(pieces, *(stream[i : i + size] for i in range(0, len(stream), size)))
    assert split + pieces.settle() == events + whole.settle()
    raw = b"".join(event.raw for event in events if isinstance(event, Frame))
    assert datas(RylrParser().receive(raw)) == datas(events)


@given(st.lists(st.binary(max_size=240), max_size=20), st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_any_data_comes_through_whole(sent: list[bytes], size: int) -> None:
    stream = b"".join(map(rcv, sent))
    parser = RylrParser()
    events = read(parser, *(stream[i : i + size] for i in range(0, len(stream), size)))
    assert datas(events) == sent
    assert (parser.damaged, parser.begun) == (0, False)


LINES = b'{"t":1}\r\n\r\n{"t":2}\n' + b"y" * 40 + b'\n{"t":3}\nrest'


def test_lines_are_cut_at_their_ends_at_every_split() -> None:
    for i in range(len(LINES)):
        parser = LineParser(limit=16)
        events = read(parser, LINES[:i], LINES[i:])
        assert datas(events) == [b'{"t":1}', b'{"t":2}', b'{"t":3}']
        assert parser.damaged == 1
        assert parser.settle() == []
        assert parser.damaged == 2


def test_a_megabyte_line_is_dropped_and_counted_once() -> None:
    parser = LineParser()
    events: list[Event] = []
    for _ in range(256):
        events += parser.receive(b"x" * 4096)
        assert len(parser._buffer) <= 4096
    events += parser.receive(b'x\n{"t":1}\n')
    assert (datas(events), parser.damaged) == ([b'{"t":1}'], 1)


@given(st.lists(st.binary(max_size=30)), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_lines_raw_gives_the_same_lines_again(parts: list[bytes], size: int) -> None:
    stream = b"\n".join(parts) + b"\n"
    parser = LineParser()
    events = read(parser, *(stream[i : i + size] for i in range(0, len(stream), size)))
    assert datas(events) == [
        part.rstrip(b"\r") for part in parts for part in part.split(b"\n") if part.rstrip(b"\r")
    ]
    raw = b"".join(event.raw for event in events if isinstance(event, Frame))
    assert datas(LineParser().receive(raw)) == datas(events)
