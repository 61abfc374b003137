"""What becomes of payloads, told so that reading by shape and one by one can be compared."""

from types import ModuleType

import pytest

from edgestream.batch import to_python
from edgestream.component import Codec


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
