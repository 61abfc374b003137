"""From a batch to a stream of one Arrow record batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgestream.batch import MISSING, Batch, Column, Strings


def stream(pa: Any, batch: Batch) -> bytes:
    """One stream: text as a dictionary of what is used, missing as null, times in UTC."""
    arrays = [_array(pa, column) for column in batch.columns.values()]
    made = pa.record_batch(arrays, names=list(batch.columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_batch(made)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _array(pa: Any, column: Column) -> Any:
    if isinstance(column, Strings):
        used, indices = np.unique(column.codes, return_inverse=True)
        values = column.dictionary.values
        words = [None if code == MISSING else values[code] for code in used.tolist()]
        gaps = column.codes == MISSING
        # Nulls are told by the indices, so that readers find no null among the words.
        words = ["" if word is None else word for word in words]
        made = pa.array(indices.astype(np.int32), mask=gaps)
        return pa.DictionaryArray.from_arrays(made, pa.array(words, pa.string()))
    if column.dtype.kind == "M":
        return pa.array(column.astype("datetime64[us]"), pa.timestamp("us", "UTC"))
    return pa.array(column, from_pandas=True)
