"""A `State` or a `Batch` as bytes and back: JSON for values, raw buffers for arrays, a checksum.

Layout: ``ES1`` · crc32 of the rest (4 bytes, big endian) · zlib level 1 of
``header length (4 bytes) · JSON header · buffers in order``. Never pickle; only the listed dtypes.
Rule: a block is believed nothing: what it unpacks to is bounded before it is unpacked, and whatever
was not written here is a `StoreError`.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Array, Batch, Column, Dictionary, Strings
from edgestream.component import State
from edgestream.errors import StoreError

MOST_BYTES = 4 << 30
"""A block unpacks to no more; SQLite itself holds 1 GB in a value."""
_MAGIC = b"ES1"
_DTYPES = {
    np.dtype(kind).str: np.dtype(kind)
    for kind in ("f8", "f4", "i8", "i4", "i2", "u8", "u4", "u1", "?", "M8[us]", "M8[ns]")
}


def encode_state(state: State) -> bytes:
    """A snapshot as bytes; raises TypeError for an array that may not be stored."""
    return _pack({"version": state.version, "meta": state.meta}, state.arrays)


def decode_state(data: bytes) -> State:
    """The snapshot behind ``data``; raises `StoreError` where it is damaged."""
    header, arrays = _unpack(data)
    version, meta = header.get("version"), header.get("meta")
    if not isinstance(version, int) or not isinstance(meta, dict):
        raise StoreError("a stored block holds no state")
    return State(version, meta, arrays)


def encode_batch(batch: Batch) -> bytes:
    """Rows as bytes; text columns carry only the strings that occur."""
    arrays: dict[str, Array] = {"": batch.times}
    texts: dict[str, Sequence[str]] = {}
    for name, column in batch.columns.items():
        if isinstance(column, Strings):
            used, codes = np.unique(column.codes, return_inverse=True)
            offset = int(len(used) > 0 and used[0] < 0)
            texts[name] = [column.dictionary.values[code] for code in used[offset:].tolist()]
            arrays["." + name] = (codes - offset).astype(np.int32)
        else:
            arrays["." + name] = column
    return _pack({"keys": batch.keys, "texts": texts}, arrays)


def decode_batch(data: bytes) -> Batch:
    """The rows behind ``data``; raises `StoreError` where it is damaged."""
    header, arrays = _unpack(data)
    try:
        times, texts = arrays.pop(""), dict(header["texts"])
        columns = {
            key[1:]: _text(array, texts[key[1:]]) if key[1:] in texts else array
            for key, array in arrays.items()
        }
        return Batch(columns, times, tuple(header["keys"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"a stored block holds no rows: {error}") from error


def _text(codes: Array, texts: Sequence[str]) -> Column:
    """A column of text; raises ValueError for a code without its text."""
    column = Strings(codes, Dictionary(texts))
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("texts that are none")
    if codes.dtype != np.int32 or len(column.dictionary) != len(texts):
        raise ValueError("a column of text without its texts")
    if len(codes) and not (codes.min() >= -1 and codes.max() < len(texts)):
        raise ValueError("codes without a text")
    return column


def _pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    specs = []
    buffers = []
    for name, given in arrays.items():
        array = np.ascontiguousarray(given)
        if array.dtype.str not in _DTYPES:
            raise TypeError(f"array {name!r} of type {array.dtype} cannot be stored")
        specs.append([name, array.dtype.str, list(array.shape)])
        buffers.append(array.tobytes())
    head = json.dumps({**header, "arrays": specs}, separators=(",", ":")).encode()
    body = zlib.compress(b"".join([len(head).to_bytes(4, "big"), head, *buffers]), 1)
    return _MAGIC + zlib.crc32(body).to_bytes(4, "big") + body


def inflate(data: bytes, most: int) -> bytes:
    """What zlib packed, if it is all there and at most ``most`` bytes; else raises `StoreError`."""
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise StoreError(f"a stored block is damaged: {error}") from error
    if len(body) > most:
        raise StoreError(f"a stored block unpacks to more than {most:,} bytes; it is not read")
    if not unpacker.eof:
        raise StoreError("a stored block is damaged: it ends early")
    return body


def _unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    if data[:3] != _MAGIC or zlib.crc32(data[7:]) != int.from_bytes(data[3:7], "big"):
        raise StoreError("a stored block is damaged (checksum does not match)")
    body = inflate(data[7:], MOST_BYTES)
    size = int.from_bytes(body[:4], "big")
    try:
        header = json.loads(body[4 : 4 + size])
        arrays = dict(_arrays(body, 4 + size, header.pop("arrays")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"a stored block is not what edgestream writes: {error}") from error
    return header, arrays


def _arrays(body: bytes, offset: int, specs: Any) -> Iterator[tuple[str, Array]]:
    """The arrays that stand one after the other from ``offset`` on; all bytes belong to one."""
    for name, code, shape in specs:
        if code not in _DTYPES:
            raise StoreError(f"a stored array has the type {code!r}, which is never written")
        dtype = _DTYPES[code]
        if min(shape, default=0) < 0:
            raise ValueError(f"an array of shape {shape}")
        count = math.prod(shape)
        if count * dtype.itemsize > len(body) - offset:
            raise StoreError(f"a stored array says it has {count:,} values, which are not there")
        yield name, np.frombuffer(body, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    if offset != len(body):
        raise StoreError(f"a stored block has {len(body) - offset:,} bytes that belong to no array")
