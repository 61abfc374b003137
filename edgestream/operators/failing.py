"""What becomes of a batch on which a step raises: its bad rows are found, the others go on.

Rule: only a step that remembers nothing is asked again with parts of the batch. One with state may
have counted some of the rows before it raised, so for it an error ends the pipeline, which goes on
from its last checkpoint once the cause is gone.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgestream.batch import Batch
from edgestream.component import Operator, Outputs
from edgestream.errors import EdgestreamError, Rejected
from edgestream.halving import Halving


@dataclass(frozen=True, slots=True)
class Refused:
    """Rows that a step cannot process: ``reasons`` tells of those that are at fault."""

    step: str
    batch: Batch
    reasons: Mapping[int, str]


def stateless(operator: Operator) -> bool:
    """Whether a step remembers nothing from one batch to the next."""
    return type(operator).snapshot is Operator.snapshot


def in_parts(
    operator: Operator, name: str, batch: Batch, error: Exception
) -> tuple[Outputs, Refused]:
    """What the good rows of a batch give on which the step ``name`` raised ``error``.

    Raises what ends the pipeline: the error itself where the step keeps state, which is a bug, and
    errors that are about more than rows.
    """
    if isinstance(error, EdgestreamError | MemoryError) and not isinstance(error, Rejected):
        raise error
    if not stateless(operator):
        error.add_note(
            f"step {name} ({operator.about.name}) failed on a batch of {len(batch)} rows; it keeps "
            "state, so its bad rows cannot be set apart: the pipeline goes back to its last "
            "checkpoint, and nothing is lost"
        )
        raise error
    outputs: list[tuple[str, Batch]] = []
    reasons: dict[int, str] = {}
    rows, why = np.arange(len(batch)), reason(error)
    if isinstance(error, Rejected) and error.reasons:
        reasons |= error.reasons
        rows = np.delete(rows, list(error.reasons))
        why = _try(operator, batch.take(rows), outputs) if len(rows) else ""
    if why:
        search = Halving(len(rows), why)
        while (part := search.next()) is not None:
            search.tell(_try(operator, batch.take(rows[part]), outputs))
        reasons |= {int(rows[row]): text for row, text in search.reasons.items()}
    return outputs, Refused(name, batch, reasons)


def _try(operator: Operator, batch: Batch, outputs: list[tuple[str, Batch]]) -> str:
    """Process some rows; why they are refused, or nothing."""
    try:
        outputs += operator.process(batch)
    except Exception as error:
        if isinstance(error, EdgestreamError) and not isinstance(error, Rejected):
            raise
        return reason(error)
    return ""


def reason(error: Exception) -> str:
    """What an error says, with its type where it is not one of edgestream's."""
    if isinstance(error, EdgestreamError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({frame.name}, line {frame.lineno})" for frame in last)
    return f"{type(error).__name__}: {error}{where}"
