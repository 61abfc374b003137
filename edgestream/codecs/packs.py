"""Payloads of many rows: which payload each row came from, and what becomes of a bad row.

The rule: a payload is taken whole or rejected whole, so that one that is sent again after a
rejection brings no row a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Column
from edgestream.component import Decoded


def places(payloads: Sequence[int], counts: Sequence[int]) -> NDArray[np.int64]:
    """For each row the position of its payload, given the rows that each payload has."""
    return np.repeat(np.array(payloads, np.int64), np.array(counts, np.int64))


def settled(
    columns: Mapping[str, Column],
    origin: NDArray[np.int64],
    bad: Mapping[int, str],
    rejected: Mapping[int, str],
) -> Decoded:
    """The rows of payloads without a bad row; ``bad`` says of rows why they are, in order."""
    if not bad:
        return Decoded(columns, len(origin), origin, rejected)
    reasons: dict[int, str] = {}
    for row, reason in bad.items():
        payload = int(origin[row])
        first, after = np.searchsorted(origin, [payload, payload + 1]).tolist()
        which = f"row {row - first + 1} of {after - first}: " if after - first > 1 else ""
        reasons.setdefault(payload, which + reason)
    keep = ~np.isin(origin, list(reasons))
    kept = {name: column[keep] for name, column in columns.items()}
    return Decoded(kept, int(keep.sum()), origin[keep], {**rejected, **reasons})
