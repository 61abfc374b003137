"""The codecs beside the barest way to the same columns: a parser and numpy, nothing checked.

A bare way knows the three columns and their kinds beforehand, and takes every payload for a good
one: no limits, no gaps, no well-formedness. It is how far a codec could be brought down.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cbor2
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.data import Data
from edgestream.batch import Dictionary, Strings
from edgestream.codecs.arrow import Arrow
from edgestream.codecs.cbor import Cbor
from edgestream.codecs.columnar import Columnar
from edgestream.codecs.json import Json
from edgestream.codecs.msgpack import Msgpack
from edgestream.codecs.senml import Senml
from edgestream.codecs.struct import Struct
from edgestream.component import Codec

Columns: TypeAlias = tuple[Any, Any, Any]
"""Devices (codes, or numbers where the format has no text), times, temperatures."""
Bare: TypeAlias = Callable[[Sequence[bytes], Dictionary], Columns]

BLOCK = 1_000
"""Rows that are decoded together, as a source at 50,000 a second hands them over."""
_PACK = 10
_WANTED = ("device", "ts", "temperature")
_ROW = msgspec.defstruct("Row", [("device", str), ("ts", int), ("temperature", float)], gc=False)
_RECORD = msgspec.defstruct("Record", [("n", str), ("v", float), ("t", float)], gc=False)
_NUMBERS = np.dtype([("device", "<u4"), ("ts", "<i8"), ("temperature", "<f8")])
_NAMES = np.dtype([("device", "S12"), ("ts", "<i8"), ("temperature", "<f8")])


@dataclass(frozen=True, slots=True)
class Format:
    """How readings are written for a codec, in blocks of `BLOCK` rows, and read without it."""

    codec: Callable[[], Codec]
    write: Callable[[Data], list[list[bytes]]]
    bare: Bare
    wanted: tuple[str, str, str] = _WANTED


def measure(form: Format, data: Data, *, bare: bool) -> dict[str, float]:
    """The CPU time of a row, and rows that are not what was written."""
    blocks = form.write(data)
    dictionary = Dictionary()
    if bare:
        read = functools.partial(form.bare, dictionary=dictionary)
    else:
        read = functools.partial(_ours, _ready(form), form.wanted)
    times = []
    wrong = 0
    for number, block in enumerate(blocks):
        began = time.process_time_ns()
        columns = read(block)
        times.append((time.process_time_ns() - began) / BLOCK)
        wrong += _wrong(columns, data, slice(number * BLOCK, (number + 1) * BLOCK), dictionary)
    size = sum(map(len, blocks[0])) / BLOCK
    return {"ns/row": float(np.median(times)), "bytes/row": size, "wrong": float(wrong)}


def _ready(form: Format) -> Codec:
    codec = form.codec()
    names = frozenset(form.wanted)
    codec.want(names, {form.wanted[2]: "float"})
    return codec


def _ours(codec: Codec, wanted: tuple[str, str, str], block: Sequence[bytes]) -> Columns:
    columns = codec.decode(block).columns
    device, ts, temperature = (columns[name] for name in wanted)
    return device, ts, temperature


def _wrong(columns: Columns, data: Data, rows: slice, dictionary: Dictionary) -> int:
    device, ts, temperature = columns
    if isinstance(device, Strings):
        device, dictionary = device.codes, device.dictionary
    if device.dtype == np.int32:
        names = np.array([int(text[-4:]) for text in dictionary.values])
        device = names[device]
    if ts.dtype.kind == "M":
        ts = ts.astype("datetime64[ms]").astype(np.int64)
    right = (device == data.device[rows]) & (ts == data.ts[rows])
    return int((~(right & (temperature == data.temperature[rows]))).sum())


def _dicts(data: Data) -> Iterator[dict[str, Any]]:
    for device, ts, temperature in zip(
        data.device.tolist(), data.ts.tolist(), data.temperature.tolist(), strict=True
    ):
        yield {
            "device": f"sensor-{device:04}",
            "ts": ts,
            "temperature": temperature,
            "humidity": 48.2,
            "battery": 3.71,
        }


def _blocks(payloads: Sequence[bytes], size: int = BLOCK) -> list[list[bytes]]:
    return [list(payloads[at : at + size]) for at in range(0, len(payloads), size)]


def _each(write: Callable[[Any], bytes], data: Data) -> list[list[bytes]]:
    return _blocks(list(map(write, _dicts(data))))


def _frames(write: Callable[[Sequence[dict[str, Any]]], bytes], data: Data) -> list[list[bytes]]:
    rows = list(_dicts(data))
    return [[write(rows[at : at + BLOCK])] for at in range(0, len(rows), BLOCK)]


def _records(data: Data, dtype: np.dtype[Any]) -> bytes:
    whole = np.zeros(len(data), dtype)
    text = dtype["device"].kind == "S"
    whole["device"] = np.char.mod("sensor-%04d", data.device) if text else data.device
    whole["ts"], whole["temperature"] = data.ts, data.temperature
    return whole.tobytes()


def _structs(dtype: np.dtype[Any], rows: int, data: Data) -> list[list[bytes]]:
    whole, size = _records(data, dtype), dtype.itemsize * rows
    payloads = [whole[at : at + size] for at in range(0, len(whole), size)]
    return _blocks(payloads, BLOCK // rows)


def _packs(data: Data) -> list[list[bytes]]:
    """SenML packs of some records; all times are whole ms."""
    records = [
        {"n": row["device"], "u": "Cel", "v": row["temperature"], "t": row["ts"] / 1000}
        for row in _dicts(data)
    ]
    packs = [records[at : at + _PACK] for at in range(0, len(records), _PACK)]
    return _blocks(list(map(msgspec.json.encode, packs)), BLOCK // _PACK)


def _columnar(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return msgspec.json.encode({name: [row[name] for row in rows] for name in rows[0]})


def _arrow(
    rows: Sequence[Mapping[str, Any]], *, words: Sequence[str] = (), plain: bool = False
) -> bytes:
    """A stream of plain text, or with a dictionary of ``words`` or of the devices in it."""
    table = pa.table({name: [row[name] for row in rows] for name in _WANTED})
    device = table["device"].combine_chunks()
    if words:
        places = pc.index_in(device, value_set=pa.array(words))
        device = pa.DictionaryArray.from_arrays(places, pa.array(words))
    elif not plain:
        device = device.dictionary_encode()
    table = table.set_column(0, "device", device)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _arrow_alike(data: Data) -> list[list[bytes]]:
    words = sorted({row["device"] for row in _dicts(data)})
    return _frames(functools.partial(_arrow, words=words), data)


def _bare_rows(rows: Sequence[Any], dictionary: Dictionary) -> Columns:
    return (
        dictionary.encode([row.device for row in rows]),
        np.array([row.ts for row in rows], np.int64),
        np.array([row.temperature for row in rows], np.float64),
    )


def _bare_json(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    rows = msgspec.json.Decoder(_ROW).decode_lines(b"\n".join(block))
    return _bare_rows(rows, dictionary)


def _bare_msgpack(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    return _bare_rows(list(map(msgspec.msgpack.Decoder(_ROW).decode, block)), dictionary)


def _bare_cbor(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    rows = list(map(cbor2.loads, block))
    return (
        dictionary.encode([row["device"] for row in rows]),
        np.array([row["ts"] for row in rows], np.int64),
        np.array([row["temperature"] for row in rows], np.float64),
    )


def _bare_columnar(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    whole = msgspec.json.decode(block[0])
    return (
        dictionary.encode(whole["device"]),
        np.array(whole["ts"], np.int64),
        np.array(whole["temperature"], np.float64),
    )


def _bare_numbers(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    whole = np.frombuffer(b"".join(block), _NUMBERS)
    return whole["device"].astype(np.int64), whole["ts"].copy(), whole["temperature"].copy()


def _bare_texts(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    whole = np.frombuffer(b"".join(block), _NAMES)
    codes = dictionary.encode([text.decode() for text in whole["device"].tolist()])
    return codes, whole["ts"].copy(), whole["temperature"].copy()


def _bare_arrow(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    batch = pa.ipc.open_stream(block[0]).read_next_batch()
    device, ts, temperature = batch.columns
    if not pa.types.is_dictionary(device.type):
        device = device.dictionary_encode()
    codes = dictionary.encode(device.dictionary.to_pylist())
    return codes[device.indices.to_numpy()], ts.to_numpy(), temperature.to_numpy()


def _bare_senml(block: Sequence[bytes], dictionary: Dictionary) -> Columns:
    decode = msgspec.json.Decoder(list[_RECORD]).decode  # type: ignore[valid-type]
    rows = [row for pack in map(decode, block) for row in pack]
    seconds = np.array([row.t for row in rows])
    return (
        dictionary.encode([row.n for row in rows]),
        np.rint(seconds * 1000).astype(np.int64),
        np.array([row.v for row in rows], np.float64),
    )


def _struct(device: str, rows: str) -> Callable[[], Codec]:
    fields = {"device": device, "ts": "i64", "temperature": "f64"}
    return functools.partial(Struct, fields=fields, rows=rows, max_payload="4MiB")


FORMATS: Mapping[str, Format] = {
    "json": Format(Json, lambda data: _blocks(data.payloads()), _bare_json),
    "struct": Format(
        _struct("u32", "one"), functools.partial(_structs, _NUMBERS, 1), _bare_numbers
    ),
    "struct, text": Format(
        _struct("s12", "one"), functools.partial(_structs, _NAMES, 1), _bare_texts
    ),
    "struct, frames": Format(
        _struct("u32", "many"), functools.partial(_structs, _NUMBERS, BLOCK), _bare_numbers
    ),
    "msgpack": Format(Msgpack, functools.partial(_each, msgspec.msgpack.encode), _bare_msgpack),
    "cbor": Format(Cbor, functools.partial(_each, cbor2.dumps), _bare_cbor),
    "columnar": Format(Columnar, functools.partial(_frames, _columnar), _bare_columnar),
    "arrow": Format(Arrow, _arrow_alike, _bare_arrow),
    "arrow, new words": Format(Arrow, functools.partial(_frames, _arrow), _bare_arrow),
    "arrow, text": Format(
        Arrow, functools.partial(_frames, functools.partial(_arrow, plain=True)), _bare_arrow
    ),
    "senml": Format(Senml, _packs, _bare_senml, ("name", "time", "value")),
}
