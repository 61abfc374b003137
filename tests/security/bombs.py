"""X4: small payloads that ask for much, for every codec; and what each costs.

    python -m tests.security.bombs          # codec, bomb, MiB at the peak, ms, its fate

Each bomb is decoded between two honest payloads in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgestream.registry import installed
from tests.security.memory import grown

Payloads = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """A codec's configuration, an honest payload, and the bombs."""

    config: Mapping[str, Any]
    honest: bytes
    bombs: Payloads


@dataclass(frozen=True, slots=True)
class Cost:
    """What became of one bomb: ``rows`` of its own, or rejected (−1); what it took."""

    codec: str
    bomb: str
    rows: int
    neighbours: bool
    kib: int
    ms: float


TEXT_BOMBS = {
    "deep lists": b'{"a":' + b"[" * 200_000,
    "deep closed lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000,
    "deep beside": b'{"a":1,"z":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of 250,000 digits": b'{"a":' + b"9" * 250_000 + b"}",
    "a fraction of 250,000 digits": b'{"a":0.' + b"9" * 250_000 + b"}",
    "an exponent": b'{"a":1e' + b"9" * 250_000 + b"}",
    "a small exponent": b'{"a":1e-' + b"9" * 250_000 + b"}",
    "a huge exponent": b'{"a":1e999999999}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "one name 40,000 times": b"{" + b'"a":1,' * 40_000 + b'"a":2}',
    "20,000 names": b"{" + b",".join(b'"%d":1' % n for n in range(20_000)) + b"}",
    "a name of 250 KB": b'{"' + b"x" * 250_000 + b'":1}',
    "dots": b'{"' + b"." * 250_000 + b'":1}',
    "nested names": b'{"a.a.a.a.a.a.a.a":' * 12_000,
    "a text of escapes": b'{"a":"' + b"\\u0041" * 40_000 + b'"}',
    "lone surrogates": b'{"a":"' + b"\\ud800" * 40_000 + b'"}',
    "bad UTF-8": b'{"a":"' + b"\xff" * 250_000 + b'"}',
    "a list of 130,000 numbers": b'{"a":[' + b"1," * 129_000 + b"1]}",
    "a list of empty lists": b'{"a":[' + b"[]," * 80_000 + b"[]]}",
    "an open text": b'{"a":"' + b"x" * 260_000,
    "white space": b" " * 260_000,
    "more than max_payload": b'{"a":"' + b"x" * 4_000_000 + b'"}',
}


def _json() -> Case:
    return Case({}, b'{"a":1}', TEXT_BOMBS)


def _columnar() -> Case:
    wide = b",".join(b'"%d":[1,2]' % n for n in range(60_000))
    return Case(
        {},
        b'{"a":[1]}',
        {
            **TEXT_BOMBS,
            "a value beside a long list": b'{"b":"'
            + b"x" * 400_000
            + b'","a":['
            + b"1," * 250_000
            + b"1]}",
            "a thousand values beside a long list": b"{"
            + b"".join(b'"%d":1,' % n for n in range(1_000))
            + b'"a":['
            + b"1," * 500_000
            + b"1]}",
            "60,000 columns": b"{" + wide + b"}",
            "texts all different": b'{"a":['
            + b",".join(b'"%x"' % n for n in range(100_000))
            + b"]}",
        },
    )


def _msgpack() -> Case:
    a = b"\x81\xa1a"
    return Case(
        {},
        b"\x81\xa1a\x01",
        {
            "a list of 2³² items": a + b"\xdd\xff\xff\xff\xff",
            "a map of 2³² items": b"\xdf\xff\xff\xff\xff",
            "a text of 2³² bytes": a + b"\xdb\xff\xff\xff\xff",
            "2³² bytes": a + b"\xc6\xff\xff\xff\xff",
            "an extension of 2³² bytes": a + b"\xc9\xff\xff\xff\xff\x01",
            "lists of 2³² items in each other": a + b"\xdd\xff\xff\xff\xff" * 40_000,
            "maps of 2³² items in each other": b"\xdf\xff\xff\xff\xff\xa1a" * 30_000,
            "deep lists": a + b"\x91" * 200_000,
            "deep maps": b"\x81\xa1a" * 80_000,
            "deep beside": b"\x82\xa1a\x01\xa1z" + b"\x91" * 200_000 + b"\x01",
            "a list of 250,000 numbers": a + b"\xdd\x00\x03\xd0\x90" + b"\x01" * 250_000,
            "a list of 250,000 empty maps": a + b"\xdd\x00\x03\xd0\x90" + b"\x80" * 250_000,
            "60,000 names": b"\xdf\x00\x00\xff\xff"
            + b"".join(b"\xa4%04x\x01" % n for n in range(65_535))[:260_000],
            "one name 80,000 times": b"\xdf\x00\x01\x38\x80" + b"\xa1a\x01" * 80_000,
            "keys that are lists": b"\xdf\x00\x00\xff\xff" + b"\x90\x01" * 65_535,
            "a timestamp far away": a + b"\xc7\x0c\xff" + b"\xff" * 12,
            "more than max_payload": a + b"\xdb\x00\x3d\x09\x00" + b"x" * 4_000_000,
        },
    )


CBOR_VALUES = {
    "a regular expression": b"\xd8\x23\x6a(x+x+)+y$a",
    "a regular expression of 200 KB": b"\xd8\x23\x7a\x00\x03\x0d\x40" + b"(x+" * 66_666 + b"xx",
    "a decimal exponent": b"\xc4\x82\x1a\x3b\x9a\xca\x00\x01",
    "a binary exponent": b"\xc5\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    "a number of 250,000 bytes": b"\xc2\x5a\x00\x03\xd0\x90" + b"\xff" * 250_000,
    "a negative one": b"\xc3\x5a\x00\x03\xd0\x90" + b"\xff" * 250_000,
    "a rational": b"\xd8\x1e\x82\x01\x00",
    "a date far away": b"\xc1\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "a date of text": b"\xc0\x6a9999999999",
    "shared values in a loop": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a set of lists": b"\xd9\x01\x02\x81\x80",
    "references to strings": b"\xd9\x01\x00\x82\x61a\xd8\x19\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "tags in tags": b"\xc6" * 200_000,
    "embedded CBOR": b"\xd8\x18\x5a\x00\x01\x00\x00" + b"\x81" * 65_536,
    "a MIME message": b"\xd8\x24\x7a\x00\x02\x00\x00" + b"x" * 131_072,
    "2⁶⁴ items": b"\x9b" + b"\xff" * 8,
    "2⁶⁴ pairs": b"\xbb" + b"\xff" * 8,
    "2⁶³ bytes": b"\x5b\x7f" + b"\xff" * 7,
    "2⁶³ characters": b"\x7b\x7f" + b"\xff" * 7,
    "2³² items in each other": b"\x9a\xff\xff\xff\xff" * 40_000,
    "a list without end": b"\x9f" + b"\x01" * 250_000,
    "lists without end in each other": b"\x9f" * 200_000,
    "a text of empty pieces": b"\x7f" + b"\x60" * 250_000 + b"\xff",
    "deep lists": b"\x81" * 200_000,
    "250,000 empty maps": b"\x9a\x00\x03\xd0\x90" + b"\xa0" * 250_000,
}


def _cbor() -> Case:
    bombs = {name: b"\xa1\x61a" + value for name, value in CBOR_VALUES.items()}
    beside = {
        f"beside: {name}": b"\xa2\x61a\x01\x61z" + value for name, value in CBOR_VALUES.items()
    }
    names = b"".join(b"\x64%04x\x01" % n for n in range(43_000))
    more = {
        "43,000 names": b"\xba\x00\x00\xa7\xf8" + names,
        "one name 80,000 times": b"\xba\x00\x01\x38\x80" + b"\x61a\x01" * 80_000,
        "keys that are maps": b"\xba\x00\x00\xff\xff" + b"\xa0\x01" * 65_535,
    }
    return Case({}, b"\xa1\x61a\x01", {**bombs, **beside, **more})


def _senml() -> Case:
    record = b'{"n":"a","v":1}'
    bombs = {
        **{name: b"[" + value + b"]" for name, value in TEXT_BOMBS.items()},
        "120,000 records": b"[" + b"{}," * 85_000 + b"{}]",
        "16,000 records": b"[" + b",".join([record] * 16_000) + b"]",
        "one long base name for 25,000 records": b'[{"bn":"'
        + b"x" * 60_000
        + b'"},'
        + b",".join([b'{"v":1}'] * 25_000)
        + b"]",
        "a base value": b'[{"bn":"a","bv":1e308},' + b",".join([b'{"v":1e308}'] * 1_000) + b"]",
        "a base time": b'[{"bn":"a","bt":1e308,"v":1},{"t":-1e308,"v":1}]',
        "deep": b"[" * 200_000,
    }
    return Case({}, b"[" + record + b"]", bombs)


def _csv() -> Case:
    return Case(
        {"columns": {"a": "float", "b": "string"}},
        b"1,x",
        {
            "130,000 fields": b"1," * 130_000,
            "an open quote": b'"' + b"x" * 260_000,
            "quotes": b'"' * 260_000,
            "quotes in quotes": b'"' + b'""' * 129_000 + b'",1',
            "a number of 250,000 digits": b"9" * 250_000 + b",x",
            "an exponent": b"1e" + b"9" * 250_000 + b",x",
            "lines": b"1,x\n" * 65_000,
            "line ends": b"\r\n" * 130_000,
            "NUL": b"\0" * 260_000,
            "bad UTF-8": b"1," + b"\xff" * 250_000,
            "more than max_payload": b"1," + b"x" * 4_000_000,
        },
    )


def _csv_header() -> Case:
    """With the header from the first payload: names may not come without end."""
    names = ",".join(map(str, range(40_000))).encode()
    return Case({}, b"a,b\n1,x", {"40,000 names": names + b"\n" + b"1," * 40_000})


def _raw() -> Case:
    return Case(
        {},
        b"x",
        {"bad UTF-8": b"\xff" * 260_000, "NUL": b"\0" * 260_000, "large": b"x" * 4_000_000},
    )


def _struct() -> Case:
    fields = {"a": "u32", "s": "s12"}
    return Case(
        {"fields": fields, "rows": "many"},
        b"\1\0\0\0abcdefghijkl",
        {
            "16,000 rows": b"\1\0\0\0abcdefghijkl" * 16_000,
            "texts all different": b"".join(b"\1\0\0\0%012d" % n for n in range(16_000)),
            "a byte too many": b"\1\0\0\0abcdefghijkl" * 16_000 + b"x",
            "bad UTF-8": (b"\1\0\0\0" + b"\xff" * 12) * 16_000,
            "more than max_payload": b"\0" * 4_000_000,
        },
    )


def _arrow() -> Case:
    import pyarrow as pa  # noqa: PLC0415

    def stream(table: pa.Table, compression: str | None) -> bytes:
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    zeros = pa.array([0.0] * 8_000_000)
    honest = stream(pa.table({"a": [1.0]}), None)
    bombs = {
        "64 MB of zeros, zstd": stream(pa.table({"a": zeros}), "zstd"),
        "64 MB of zeros, lz4": stream(pa.table({"a": zeros}), "lz4"),
        "nulls": stream(pa.table({"a": pa.nulls(2_000_000_000)}), None),
        "one word for many": stream(
            pa.table(
                {
                    "a": pa.DictionaryArray.from_arrays(
                        pa.array([0] * 4_000_000, pa.int8()), ["x" * 10_000]
                    )
                }
            ),
            "zstd",
        ),
        "5,000 columns": stream(pa.table({str(n): [1] for n in range(5_000)}), "zstd"),
        "lists in lists": stream(pa.table({"a": pa.array([[[[[[[1]]]]]]] * 100_000)}), "zstd"),
        "runs": stream(
            pa.table({"a": pa.RunEndEncodedArray.from_arrays([2_000_000_000], [1.0])}), None
        ),
        "a length that lies": b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 1000,
        "messages of nothing": b"\xff\xff\xff\xff\0\0\0\0" * 30_000,
        "noise": bytes(range(256)) * 4_000,
    }
    return Case({}, honest, bombs)


CASES: Mapping[str, Callable[[], Case]] = {
    "arrow": _arrow,
    "cbor": _cbor,
    "columnar": _columnar,
    "csv": _csv,
    "csv with a header": _csv_header,
    "json": _json,
    "msgpack": _msgpack,
    "raw": _raw,
    "senml": _senml,
    "struct": _struct,
}


def measured(name: str) -> list[Cost]:
    """Every bomb of a case in a process of its own."""
    case = CASES[name]()
    given = {
        "codec": name,
        "config": case.config,
        "honest": case.honest.hex(),
        "bombs": {bomb: payload.hex() for bomb, payload in case.bombs.items()},
    }
    command = [sys.executable, "-m", "tests.security.bombs", "measure"]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode:
        raise AssertionError(
            f"{name}: the process ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return [Cost(**cost) for cost in json.loads(done.stdout)]


def _measure(given: dict[str, Any]) -> Iterator[Cost]:
    codec_class = installed().load("codec", given["codec"].partition(" ")[0])
    honest = bytes.fromhex(given["honest"])
    # what is loaded when first used is no cost of a bomb
    codec_class(**given["config"]).decode([honest] * 2)
    codec_class(**given["config"]).decode([honest, b"\xff", honest])
    for name, text in given["bombs"].items():
        bomb = bytes.fromhex(text)
        codec = codec_class(**given["config"])
        codec.want(None, {})
        alone = codec.decode([honest] * 2).count
        began = time.process_time()
        with grown() as memory:
            decoded = codec.decode([honest, bomb, honest])
        ms = (time.process_time() - began) * 1000
        rows = -1 if 1 in decoded.rejected else decoded.count - alone
        good = set(decoded.rejected) <= {1} and decoded.count - max(rows, 0) == alone
        yield Cost(given["codec"], name, rows, good, memory.kib, round(ms, 1))


def _table() -> None:
    for name in CASES:
        for cost in measured(name):
            fate = "rejected" if cost.rows < 0 else f"{cost.rows} rows"
            print(f"{name:18} {cost.bomb:40} {cost.kib / 1024:7.1f} MiB {cost.ms:8.1f} ms  {fate}")


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        costs = _measure(json.load(sys.stdin))
        print(json.dumps([{k: getattr(c, k) for k in Cost.__slots__} for c in costs]))
    else:
        _table()
