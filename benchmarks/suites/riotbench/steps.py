"""What the applications need that no step says: SenML records, and two trained models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgestream as es
from benchmarks.suites.riotbench.data import BOUNDS
from edgestream import Batch
from edgestream.codecs.senml import Senml


@es.operator
def senml(batch: Batch) -> Batch:
    """The values of a row as a SenML pack, as text in the column ``senml``."""
    columns = {"base": batch["station"], "time": batch["time"]}
    packs = batch.select(BOUNDS).with_columns(**columns)
    return batch.with_columns(senml=[pack.decode() for pack in Senml(pivot=True).encode(packs)])


@es.operator
def classify(batch: Batch, tree: Mapping[str, Any], to: str = "class") -> Batch:
    """A decision tree: each branch names a column and a bound, and what stands below and above it.

    A row without the value goes above.
    """
    labels = np.empty(len(batch), object)
    pending: list[tuple[Any, NDArray[np.bool_]]] = [(tree, np.ones(len(batch), bool))]
    while pending:
        node, rows = pending.pop()
        if isinstance(node, Mapping):
            below = rows & (np.asarray(batch[node["column"]], np.float64) < node["bound"])
            pending += [(node["below"], below), (node["above"], rows & ~below)]
        else:
            labels[rows] = node
    return batch.with_columns(**{to: labels.tolist()})


@es.operator
def regress(
    batch: Batch, weights: Mapping[str, float], intercept: float, to: str = "predicted"
) -> Batch:
    """A linear model of several columns."""
    total = np.full(len(batch), intercept)
    for name, weight in weights.items():
        total += np.asarray(batch[name], np.float64) * weight
    return batch.with_columns(**{to: total})
