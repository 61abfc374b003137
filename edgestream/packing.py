"""A `State` or a `Batch` as bytes and back: JSON for values, raw buffers for arrays, a checksum.

Layout: ``ES1`` · crc32 of the rest (4 bytes, big endian) · zlib level 1 of
``header length (4 bytes) · JSON header · buffers in order``. Never pickle; only the listed dtypes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Array, Batch, Column, Dictionary, Strings
from edgestream.component import State
from edgestream.errors import StoreError

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
    return State(int(header["version"]), header["meta"], arrays)


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
    times = arrays.pop("")
    texts = header["texts"]
    columns: dict[str, Column] = {}
    for key, array in arrays.items():
        name = key[1:]
        columns[name] = Strings(array, Dictionary(texts[name])) if name in texts else array
    return Batch(columns, times, tuple(header["keys"]))


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


def _unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    if data[:3] != _MAGIC or zlib.crc32(data[7:]) != int.from_bytes(data[3:7], "big"):
        raise StoreError("a stored block is damaged (checksum does not match)")
    body = zlib.decompress(data[7:])
    size = int.from_bytes(body[:4], "big")
    header = json.loads(body[4 : 4 + size])
    arrays: dict[str, Array] = {}
    offset = 4 + size
    for name, code, shape in header.pop("arrays"):
        if code not in _DTYPES:
            raise StoreError(f"a stored array has the type {code!r}, which is never written")
        dtype = _DTYPES[code]
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    return header, arrays
