"""What is fuzzed: a function of bytes each, that fails where a rule of its reader is broken.

A target returns a few words about what became of the input; an input with words not seen before is
worth keeping and changing further.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast
from unittest import mock

import numpy as np

from edgestream.batch import Strings, from_rows, to_python
from edgestream.codecs import cbor_decode, json_shaped
from edgestream.codecs.cbor import Cbor
from edgestream.codecs.json import Json
from edgestream.component import Codec, State
from edgestream.config import values
from edgestream.config.yaml import load
from edgestream.errors import ConfigError, StoreError
from edgestream.eventtime import Time
from edgestream.expr import Expr
from edgestream.packing import decode_batch, decode_state, encode_batch, encode_state
from edgestream.read import read_document
from edgestream.registry import installed
from edgestream.sources.csv_table import CsvLines
from edgestream.web.connection import converse
from edgestream.web.peers import Limits
from edgestream.web.routes import Site
from edgestream_connectors.http.body import EVENT, EVENTS, JSON, Refused, payloads_of, unpacked
from edgestream_connectors.http.request import Arrived
from edgestream_connectors.http.request import packed as pack_requests
from edgestream_connectors.http.request import payloads as unpack_requests
from edgestream_connectors.lora_serial.frames import Frame, LineParser, RylrParser
from edgestream_connectors.mqtt import bulk, properties
from edgestream_connectors.mqtt.metadata import property_columns
from edgestream_connectors.mqtt.packets import Login
from edgestream_connectors.mqtt.protocol import Block, Failed, Protocol, unpack
from edgestream_connectors.mqtt.publish import walk
from edgestream_connectors.mqtt.redelivery import Tail
from edgestream_connectors.mqtt.template import Template
from edgestream_connectors.mqtt.topics import Pattern, TopicColumns
from edgestream_connectors.mqtt.wire import ProtocolError
from tests.codecs.by_shape import where_they_lie
from tests.security.bombs import CASES
from tests.web.fake_view import FakeView


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` fails on a broken rule; ``seeds`` are honest inputs, ``words`` what grammars hold."""

    run: Callable[[bytes], str]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


# Codecs: the first byte of an input chooses what is wanted, the rest is a payload.


def _codec(name: str) -> Target:
    case = CASES[name]()
    codec_class = installed().load("codec", name.partition(" ")[0])

    def run(data: bytes) -> str:
        which, payload = data[:1], data[1:]
        wanted = [None, frozenset({"a"}), frozenset({"a", "b.c"})][(which or b"\0")[0] % 3]
        codec = codec_class(**case.config)
        codec.want(wanted, {"a": "float"} if wanted else {})
        one = codec.decode([case.honest]).count
        decoded = codec.decode([case.honest, payload, case.honest])
        _consistent(codec, decoded, 3)
        assert set(decoded.rejected) <= {1}, "a neighbour is rejected"
        own = decoded.count - 2 * one
        assert own >= 0, "a neighbour has lost rows"
        assert own == 0 or 1 not in decoded.rejected, "rejected, and taken"
        again = codec.decode([payload])
        assert (0 in again.rejected) == (1 in decoded.rejected), "alone it is another thing"
        saved = codec.snapshot()
        if saved is not None:
            fresh = codec_class(**case.config)
            fresh.want(wanted, {"a": "float"} if wanted else {})
            fresh.restore(decode_state(encode_state(saved)))
            restored = fresh.decode([payload])
            assert (0 in restored.rejected) == (0 in again.rejected), "restored it is another"
        return decoded.rejected.get(1, f"{min(own, 3)} rows {sorted(decoded.columns)[:3]}")

    return Target(run, [b"\0" + case.honest, b"\1" + case.honest, b"\2" + case.honest])


def _consistent(codec: Codec, decoded: Any, payloads: int) -> None:
    good = range(payloads) if decoded.good is None else decoded.good.tolist()
    assert len(good) == decoded.count, "good and count"
    assert all(0 <= place < payloads for place in good), "good"
    assert list(good) == sorted(good), "order"
    for column in decoded.columns.values():
        assert len(column) == decoded.count, "length"
        if isinstance(column, Strings):
            assert column.codes.dtype == np.int32
            assert len(column) == 0 or column.codes.max() < len(column.dictionary), "codes"
            for text in column.to_list():
                assert text is None or text.encode() is not None
        else:
            assert column.dtype.kind in "fibM", column.dtype
    codec.state_bytes()


def _shapes(codec_class: type[Json] | type[Cbor], module: ModuleType) -> Callable[[bytes], str]:
    """A payload after one whose shape it may have: read by it and read alone it is the same."""

    def run(data: bytes) -> str:
        sample, _, payload = data[1:].partition(_BETWEEN)
        wanted = [None, frozenset({"a"}), frozenset({"a", "b.c"})][(data[:1] or b"\0")[0] % 3]
        become = []
        for few, given in ((1, list), (1 << 30, list), (1, where_they_lie)):
            codec = codec_class()
            codec.want(wanted, {"a": "float"} if wanted else {})
            with mock.patch.object(module, "FEW", few):
                codec.decode([sample] * 2)
                decoded = codec.decode(given([payload, sample, payload]))
            _consistent(codec, decoded, 3)
            columns = {name: to_python(column) for name, column in decoded.columns.items()}
            become.append((repr(columns), decoded.count, decoded.rejected, codec.snapshot()))
        assert become[0] == become[1] == become[2], "by its shape it is another"
        return decoded.rejected.get(0, f"{decoded.count} rows {sorted(decoded.columns)[:3]}")

    return run


# MQTT: what a broker sends, cut anywhere, and what a client writes.


def _mqtt(v5: bool) -> Callable[[bytes], str]:
    def events(parts: Sequence[bytes]) -> tuple[list[str], bytes, int]:
        protocol = Protocol(Login("fuzz", v5=v5, max_packet=4096))
        protocol.subscribe(["#"], 1)
        found, raw, acks = [], b"", 0
        for part in parts:
            for event in protocol.receive(part):
                if isinstance(event, Block):
                    messages = unpack(event.raw, v5=v5)
                    assert messages.payloads == event.messages.payloads, "unpacked it is another"
                    assert messages.topics == event.messages.topics, "topics"
                    raw, acks = raw + event.raw, acks + len(event.acks)
                    _looked_at(event.raw, v5)
                else:
                    found.append(_words(event) if isinstance(event, Failed) else repr(event))
            assert len(protocol._rest) <= 4096 + 5 + len(part), "more is kept than a packet"
        return found, raw, acks

    def run(data: bytes) -> str:
        whole = events([data])
        with mock.patch.object(bulk, "MANY", 1):
            assert events([data]) == whole, "read at once it is another"
        third = len(data) // 3
        for parts in ([data[:third], data[third:]], [data[n : n + 1] for n in range(len(data))]):
            assert _judged(events(parts)) == _judged(whole), "cut elsewhere it is another"
        return f"{_without_numbers(whole[0][-1:])} {len(whole[1]) > 0}"

    return run


def _words(failed: Failed) -> str:
    """How much of a wrong beginning is shown depends on how much has come."""
    wrong = "the first packet is not CONNACK"
    return wrong if failed.message.startswith(wrong) else failed.message


def _judged(seen: tuple[list[str], bytes, int]) -> tuple[list[str], bytes, int]:
    """Topics and ids are checked a read at a time: what stood behind a bad one may come first."""
    found, raw, acks = seen
    late = found and found[-1].startswith(("PUBLISH: the topic", "PUBLISH: the packet id"))
    return (found[-1:] if late else found, raw, acks)


def _looked_at(raw: bytes, v5: bool) -> None:
    """All that is read of messages beside payload and topic."""
    packets = list(walk(raw, v5))
    columns = TopicColumns([Pattern.of("{a}/+/{b}"), Pattern.of("#")], None)
    made = columns.columns([packet.topic for packet in packets])
    assert all(len(column) == len(packets) for column in made.values())
    if v5:
        with contextlib.suppress(ProtocolError):
            property_columns(raw, None)
    tail = Tail([(raw, v5)])
    kept, dropped = tail.without_known(raw, v5)
    assert len(list(walk(kept, v5))) + dropped == len(packets), (
        "a message is neither kept nor known"
    )


def _without_numbers(texts: Sequence[str]) -> str:
    return "".join("0" if sign.isdigit() else sign for text in texts for sign in text)[:80]


def _topic(data: bytes) -> str:
    text, _, value = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        template = Template.of(text)
    except ValueError as error:
        return f"refused {str(error)[-20:]}"
    rows = [dict.fromkeys(template.names, value) or {"x": 1}]
    topics, refused = template.topics(from_rows(rows))
    fixed = b"".join(literal.encode("utf-8", "surrogateescape") for literal in template.literals)
    for topic in topics:
        if not refused and template.names:
            assert topic.count(b"/") == fixed.count(b"/"), "a value has added a level"
            assert not set(topic) & set(b"+#\0"), "a value has added a wildcard"
    return f"{bool(refused)} {len(template.names)}"


# LoRa and lines.


def _frames(make: Callable[[], Any]) -> Callable[[bytes], str]:
    def events(parts: Sequence[bytes]) -> tuple[list[Any], int]:
        parser = make()
        found = []
        for part in parts:
            found += parser.receive(part)
        found += parser.settle()
        assert not parser.begun, "something is left over"
        return found, parser.damaged

    def run(data: bytes) -> str:
        whole = events([data])
        half = len(data) // 2
        for parts in ([data[:half], data[half:]], [data[n : n + 1] for n in range(len(data))]):
            assert events(parts) == whole, "cut elsewhere it is another"
        frames = [event for event in whole[0] if isinstance(event, Frame)]
        again = events([b"".join(frame.raw for frame in frames)])
        assert [frame.data for frame in again[0]] == [frame.data for frame in frames], "raw"
        return f"{len(frames)} {len(whole[0]) - len(frames)} {whole[1]}"

    return run


# Configuration.


def _yaml(data: bytes) -> str:
    try:
        document = load(data, "p.yaml")
    except ConfigError as error:
        for problem in error.problems:
            assert problem.line >= 1, problem
            assert problem.column >= 1, problem
            str(problem).encode("utf-8", "replace")
        return error.problems[0].message[:40]
    assert () in document.marks
    return type(document.data).__name__


def _pipeline(data: bytes) -> str:
    with mock.patch.object(values, "read_file", return_value="text"):
        try:
            document = load(data, "p.yaml")
            spec = read_document(document, installed())
        except ConfigError as error:
            for problem in error.problems:
                assert problem.line >= 1, problem
            return error.problems[0].message[:50]
    return f"{len(spec.sources)} {len(spec.streams)} {len(spec.sinks)}"


def _interpolation(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    read: list[str] = []

    def file(path: str) -> str:
        read.append(path)
        return "${SECRET}"

    with (
        mock.patch.object(values, "read_file", file),
        mock.patch.dict(values.os.environ, {"A": "${B}", "B": "x\nname: y", "SECRET": "found"}),
    ):
        try:
            made = values.resolve(text)
        except ValueError as error:
            return str(error)[:30]
    if "${SECRET" not in text and "found" not in text:
        assert "found" not in made, "what was filled in was filled in again"
    return f"{len(read)} {'$' in made} {chr(10) in made}"


# Expressions.

_ROWS = from_rows(
    [{"a": 1.0, "s": "x", "n": 3, "t": True}, {"a": None, "s": None, "n": -1, "t": False}]
)


def _expression(data: bytes) -> str:
    try:
        expr = Expr(data.decode("utf-8", "surrogateescape"))
    except ConfigError as error:
        for problem in error.problems:
            assert problem.column >= 1, problem
        return error.problems[0].message[:40]
    try:
        column = expr.evaluate(_ROWS)
    except ConfigError as error:
        return f"evaluated: {error.problems[0].message[:30]}"
    assert len(column) == 2
    return str(getattr(column, "dtype", "text"))


# State: what is behind the checksum, with the checksum put right.


def _state(data: bytes) -> str:
    packed = zlib.compress(data, 1)
    block = b"ES1" + zlib.crc32(packed).to_bytes(4, "big") + packed
    said = []
    for decode in (decode_state, decode_batch):
        try:
            made = decode(block)
        except StoreError as error:
            said.append(str(error)[:50])
            continue
        if isinstance(made, State):
            assert encode_state(made)
        else:
            encode_batch(made)
            list(made.rows())
        said.append("read")
    return " ".join(said)


def _unpacked(block: bytes) -> bytes:
    return zlib.decompress(block[7:])


# The endpoint: what a browser sends, cut in two.


class _Writer:
    """Takes what the endpoint writes, as a transport and a stream in one."""

    def __init__(self) -> None:
        self.sent = b""
        self.transport = self

    def set_write_buffer_limits(self, _: int) -> None:
        """Nothing is buffered."""

    def abort(self) -> None:
        """Nothing to close."""

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        """All is taken."""

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return "127.0.0.1", 1


_SITE = Site(FakeView(), frozenset({"localhost"}), b"correct-horse-battery")
_STATUSES = {200, 400, 401, 404, 405, 408, 414, 417, 421, 431, 501, 503, 505}


def _http(data: bytes) -> str:
    async def talk() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        writer = _Writer()
        await converse(reader, cast("Any", writer), _SITE.respond, Limits())
        return writer.sent

    sent = asyncio.run(talk())
    if not sent:
        return "nothing"
    assert sent.startswith(b"HTTP/1.1 "), sent[:40]
    status = int(sent[9:12])
    assert status in _STATUSES, status
    head = sent.partition(b"\r\n\r\n")[0].lower()
    assert b"content-security-policy: default-src 'self'" in head
    secret = b"edgestream_" in sent or b'"pipelines"' in sent
    assert not secret or b"correct-horse-battery" in data, "data without the token"
    return f"{status} {data[:4]!r}"


# Cells and times.


def _csv(data: bytes) -> str:
    lines = data.split(b"\n")
    table = CsvLines(",", "utf-8", {"b": "float"}, {})
    first = table.take(lines[: len(lines) // 2])
    second = table.take(lines[len(lines) // 2 :], last=True)
    for taken in (first, second):
        for column in taken.columns.values():
            assert len(column) == taken.count
    return f"{min(first.count, 3)} {min(second.count, 3)} {len(first.bad) + len(second.bad)}"


def _time(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    time = Time("t", unit="iso8601")
    times, reasons = time.read(Strings.of([text, "2026-01-01T00:00:00Z"]), 2)
    assert set(reasons) <= {0}
    assert times[1] == 1_767_225_600_000_000_000
    with contextlib.suppress(ValueError):
        number = float(text)
        for unit in ("s", "ms", "us", "ns"):
            times, reasons = Time("t", unit=unit).read(np.array([number, 1.0]), 2)
            assert set(reasons) <= {0}
            assert reasons or abs(int(times[0])) < 2**63 - 1
    return f"{len(reasons)} {len(text) > 10}"


def _properties(data: bytes) -> str:
    try:
        found = properties.parse(data, "PUBLISH")
    except ProtocolError as error:
        return _without_numbers([str(error)])
    return f"{len(found.numbers)} {len(found.texts)} {len(found.binaries)} {len(found.user)}"


_KINDS = (JSON, EVENT, EVENTS, "application/x-ndjson", "application/cbor", "text/plain")


def _request(data: bytes) -> str:
    """A body of the HTTP source: the first two bytes choose its type and whether it is packed."""
    kind, encoding, body = data[:1] or b"\0", data[1:2], data[2:]
    packed = "gzip" if encoding == b"\1" else ""
    try:
        plain = unpacked(body, packed, 65_536)
        assert len(plain) <= max(65_536, len(body)), "more than the limit"
        made = payloads_of(plain, _KINDS[kind[0] % len(_KINDS)], frozenset({"application/cbor"}))
    except Refused as error:
        return f"{error.status} {str(error)[:30]}"
    assert made.ids is None or len(made.ids) == len(made.payloads)
    raw = pack_requests([Arrived(made.payloads, {"d": "x"}, made.ids)])
    again = unpack_requests(raw, 1)
    assert list(again.payloads) == made.payloads, "journalled it is another"
    return f"{kind!r} {min(len(made.payloads), 3)} {made.ids is None}"


_PUBLISHED = (
    b"\x20\x03\x00\x00\x00" + b"\x90\x04\x00\x01\x00\x01" + b"\x32\x0b\x00\x03a/b\x00\x07\x00xyz"
    b"\x30\x10\x00\x01a\x0b\x26\x00\x01k\x00\x01v\x03\x00\x01tp" + b"\x3b\x07\x00\x01a\x00\x07\x00x"
)
_PUBLISHED_311 = (
    b"\x20\x02\x00\x00\x90\x03\x00\x01\x01\x32\x0a\x00\x03a/b\x00\x07xyz\x30\x04\x00\x01ab"
)
_PIPELINE = b"""\
name: a
source:
  mqtt: {url: "mqtt://localhost", topics: [a/{b}/c], password: "${A:-b}", username: x}
  time: {field: ts, unit: ms, delay: 2s}
steps:
  - where: a > 1 and s == 'x'
  - set: {c: a * 2}
  - window: {tumbling: 10s, by: [b], aggregate: {n: count(), m: mean(a)}}
sink:
  sqlite: {path: a.db, table: t}
"""
_HTTP_WORDS = (
    *(b"GET ", b"HEAD ", b"POST ", b"/metrics", b"/api/v1/pipelines", b"/livez", b"/..", b"%2e%2e"),
    *(b" HTTP/1.1\r\n", b"Host: localhost\r\n", b"Host: evil\r\n", b"Content-Length: 5\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Authorization: Bearer correct-horse-batterx\r\n"),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\n",
        b"Range: bytes=0-\r\n",
    ),
)
_YAML_WORDS = (
    *(b"&a ", b"*a", b"!!python/name:os.system", b"<<: ", b"- ", b"? ", b": ", b"|\n", b"{", b"}"),
    *(b"${A}", b"${file:/etc/shadow}", b"$${", b"\n", b"  ", b"1e999", b"0x7fffffffffffffffff"),
    *(b"mqtt:", b"window:", b"sources:", b"tests:", b"null", b"~", b"[", b"]", b"'", b'"', b"#"),
)
_EXPRESSION_WORDS = (
    *(
        b"a",
        b"s",
        b"n",
        b"t",
        b" and ",
        b" or ",
        b"not ",
        b"(",
        b")",
        b"+",
        b"*",
        b"**",
        b"/",
        b"%",
    ),
    *(b"if(", b"min(", b"concat(", b"text(", b"number(", b"hour(", b"round(", b"'x'", b"1e308"),
    *(b" in ", b" is missing", b"==", b"<", b",", b"`a`", b"__class__", b"lambda ", b"\0"),
)
_MESSAGE_PACK = (
    b"\x85\xa1a\xcb?\xf0\0\0\0\0\0\0\xa1b\x81\xa1c\x01\xa1d\x93\x01\xc0\xc3\xa1e\xa2xy\xa1f\xc0"
)


_BETWEEN = b"--"
_SHAPED = [
    b"\xa3\x61a\xf9\x3c\x00\x61b\xa1\x61c\x01\x61d\x42\xff\x00",
    b"\xa4\x61z\x62\xc3\xa9\x61a\xfa\x3f\xc0\x00\x00\x61b\xa1\x61c\x63xyz\x61d\x1b\x00\x00\x00\x00\x00\x00\x00\x05",
    b"\xa2\x61a\x38\x1e\x61b\xa2\x61c\xf5\x61d\xf6",
]
_SHAPED_JSON = [
    b'{"a":1,"b":{"c":"x"},"d":true}',
    b'{"a": -21.5, "b": {"c": "12345678"}, "d": 12345.678901}',
    b'{"z":"\xc3\xa9","a":1764000000123,"b":{"c":false,"d":null}}',
    b'{"d":0.30000000000000004,"a":-9007199254740993,"b.c":""}',
]


def _targets() -> Iterator[tuple[str, Target]]:
    more = {
        "json": [b'{"a":1.5,"b":{"c":"x"},"d":[1,null,true],"e":"\\u00e9"}'],
        "msgpack": [_MESSAGE_PACK],
        "cbor": [
            b"\xa3\x61a\xf9\x3c\x00\x61b\xa1\x61c\x01\x61d\x83\x01\xf6\xf5",
            b"\xbf\x61a\x7f\x61x\xff\xff",
        ],
        "senml": [
            b'[{"bn":"a:","bt":1e9,"bu":"V","n":"x","v":1},{"n":"y","vs":"t","t":-5},{"vb":true,"n":"z"}]'
        ],
        "columnar": [b'{"a":[1,2,null],"b":"x","c":[true,false,true]}'],
        "csv": [b'1.5,"x,""y"""', b"2,\xc3\xa9"],
    }
    for name in CASES:
        target = _codec(name)
        seeds = [lead + seed for seed in more.get(name, []) for lead in (b"\0", b"\1", b"\2")]
        yield f"decode-{name.replace(' ', '-')}", Target(target.run, [*target.seeds, *seeds])
    yield (
        "cbor-shapes",
        Target(
            _shapes(Cbor, cbor_decode),
            [lead + seed + _BETWEEN + seed for seed in _SHAPED for lead in (b"\0", b"\1", b"\2")],
            (
                _BETWEEN,
                b"\x61a",
                b"\xfb\x40\x09\x21\xfb\x54\x44\x2d\x18",
                b"\x1b",
                b"\x78",
                b"\xf9",
            ),
        ),
    )
    yield (
        "json-shapes",
        Target(
            _shapes(Json, json_shaped),
            [
                lead + seed + _BETWEEN + seed
                for seed in _SHAPED_JSON
                for lead in (b"\0", b"\1", b"\2")
            ],
            (
                *(_BETWEEN, b'"', b"\\", b"-", b"0", b".", b"1.5", b"e9", b"9" * 9, b"\n", b" "),
                *(
                    b'{"a":',
                    b',"b":',
                    b"true",
                    b"null",
                    b"}",
                    b"\xc3\xa9",
                    b"\xff",
                    b"\0",
                    b"x" * 9,
                ),
            ),
        ),
    )
    yield (
        "mqtt-5",
        Target(_mqtt(True), [_PUBLISHED], (b"\x32", b"\x90\x04", b"\x26", b"\xff\xff\xff\x7f")),
    )
    yield (
        "mqtt-311",
        Target(_mqtt(False), [_PUBLISHED_311], (b"\x32", b"\x90\x03", b"\xff\xff\xff\x7f")),
    )
    yield "mqtt-properties", Target(_properties, [b"\x26\x00\x01k\x00\x01v\x03\x00\x01t\x0b\x01"])
    yield (
        "mqtt-topic",
        Target(
            _topic,
            [b"a/{b}/c\nvalue", b"{a}\n+", b"$x/{a}{b}\n/"],
            (b"{", b"}", b"/", b"\n"),
        ),
    )
    rylr = b"+OK\r\n+RCV=7,5,HELLO,-60,11\r\n+ERR=4\r\n+RCV=1,12,\r\n+RCV=1,1,,-1,1\r\n"
    yield (
        "lora",
        Target(
            _frames(RylrParser), [rylr], (b"+RCV=", b",-60,11\r\n", b"\r\n", b"+OK\r\n", b"1,240,")
        ),
    )
    yield (
        "lines",
        Target(_frames(lambda: LineParser(64)), [b"a\r\nb\n\nc" + b"x" * 70], (b"\n", b"\r\n")),
    )
    yield "yaml", Target(_yaml, [_PIPELINE], _YAML_WORDS)
    yield "pipeline", Target(_pipeline, [_PIPELINE], _YAML_WORDS)
    yield (
        "interpolation",
        Target(
            _interpolation,
            [b"x${A}y${B:-z}$${C}${file:/run/x}"],
            (b"${", b"}", b":-", b"$$", b"file:", b"A", b"SECRET"),
        ),
    )
    yield (
        "expression",
        Target(
            _expression, [b"if(a > 1, s, 'x') == concat(s, text(n)) and not t"], _EXPRESSION_WORDS
        ),
    )
    event = b'{"specversion":"1.0","source":"a","id":"1","type":"t"}'
    bodies = [b"\0\0" + b'[{"a":1},{"b":[2]}]', b"\1\0" + event, b"\2\0[" + event + b"]"]
    bodies += [b"\3\0" + b'{"a":1}\n{"a":2}\n', b"\0\1" + gzip.compress(b'{"a":1}', mtime=0) * 2]
    yield (
        "http-body",
        Target(_request, bodies, (b"{", b"[", b"]", b"}", b"\n", b'"id":', b"\x1f\x8b\x08")),
    )
    kept = State(1, {"a": [1, {"b": None}]}, {"x": np.arange(3), "y": np.array([True])})
    rows = from_rows([{"s": "a", "x": 1.0, "n": 2}, {"s": None, "x": None, "n": 3}])
    states = [_unpacked(encode_state(kept)), _unpacked(encode_batch(rows))]
    yield (
        "state",
        Target(
            _state, states, (b"<f8", b"|O", b"<i4", b"[-1]", b"[99999999999]", b'"arrays":', b"{}")
        ),
    )
    token = b"Authorization: Bearer correct-horse-battery\r\n"
    asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + token + b"\r\n"
    yield (
        "http",
        Target(_http, [asked, b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n" * 2], _HTTP_WORDS),
    )
    yield (
        "csv-file",
        Target(
            _csv, [b'a,b,c\n1,2,"x\ny"\n3,4,z\n007,nan,\n'], (b'"', b",", b"\n", b"\r\n", b"1e999")
        ),
    )
    yield (
        "time",
        Target(
            _time,
            [b"2026-11-24T10:00:00.5+01:00", b"1.7e9", b"-0.0"],
            (b"-", b":", b"Z", b"+", b"1e308", b"nan", b"T"),
        ),
    )


TARGETS: Mapping[str, Target] = dict(_targets())
