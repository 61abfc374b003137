"""What becomes of payloads, told so that reading by shape and one by one can be compared."""

from types import ModuleType

import numpy as np
import pytest

from edgestream.batch import to_python
from edgestream.component import Codec
from edgestream.pieces import Pieces

BETWEEN = b'0\x7f\0\n\\"\xff\xc3'
"""What may lie between payloads in what was read: anything, as heads of packets do."""


def read_by(module: ModuleType, few: int, codec: Codec, blocks, names=None, demanded=None):
    """What becomes of blocks, one after the other, if so many payloads are too few for shapes."""
    codec.want(None if names is None else frozenset(names), demanded or {})
    become = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", few)
        for block in blocks:
            decoded = codec.decode(block)
            columns = {name: to_python(column) for name, column in decoded.columns.items()}
            kinds = {
                name: str(getattr(column, "dtype", "text"))
                for name, column in decoded.columns.items()
            }
            good = None if decoded.good is None else decoded.good.tolist()
            become.append([repr(columns), kinds, decoded.count, good, decoded.rejected])
        return [*become, codec.snapshot().meta]


def where_they_lie(payloads):
    """The payloads as pieces of one read, with other bytes before, between and behind them."""
    sizes = np.array([len(payload) for payload in payloads], np.int64)
    stops = np.cumsum(sizes + len(BETWEEN))
    data = BETWEEN + b"".join(payload + BETWEEN for payload in payloads)
    printable = all(32 <= byte <= 127 for payload in payloads for byte in payload)
    return Pieces(data, stops - sizes, stops, printable=printable)
