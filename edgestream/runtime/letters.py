"""Making dead letters: of payloads that cannot be read, and of rows that a step or sink refuses.

Rules: the bytes are kept as they came; a reason is one line of printable text, cut to a length,
and holds no secret of the pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgestream.batch import Batch, Strings, to_python
from edgestream.component import Payloads
from edgestream.config.secrets import secrets_in, without_secrets
from edgestream.errors import printable
from edgestream.packing import encode_batch
from edgestream.runtime.blocks import origin, received
from edgestream.runtime.decode import Read
from edgestream.runtime.inbox import Item
from edgestream.spec import PipelineSpec
from edgestream.store.letters import DeadLetter, Form, Stage

LONGEST_REASON = 500


class Letters:
    """Makes the dead letters of one pipeline."""

    def __init__(self, spec: PipelineSpec) -> None:
        """Of the pipeline ``spec``, whose secrets appear in none."""
        self._secrets = tuple(secrets_in((spec.sources, spec.streams, spec.sinks)))

    def of_payloads(self, item: Item, got: Read, now: int) -> list[DeadLetter]:
        """Those that could not be read, or have no event time."""
        came = received(item, now)
        return [
            DeadLetter(
                now,
                item.source,
                "time" if row in got.untimed else "decode",
                json.dumps(position := origin(item, row)),
                self._reason(why),
                payload(item.data, row),
                form=_form(item.data),
                beside=json.dumps(_beside(item.data, row), default=str),
                received=came if isinstance(came, int) else int(came[row]),
                once=f"{item.source} {json.dumps(position)}" if "seq" in position else None,
            )
            for row, why in sorted(got.rejected.items())
        ]

    def of_rows(
        self,
        stage: Stage,
        step: str,
        batch: Batch,
        reasons: Mapping[int, str],
        places: Mapping[int, Mapping[str, Any]],
        now: int,
    ) -> list[DeadLetter]:
        """Rows that a step or sink refuses; where a sink's row has a place, it is there once."""
        letters = []
        for row, why in reasons.items():
            place = json.dumps(places.get(row, {}))
            letters.append(
                DeadLetter(
                    now,
                    step,
                    stage,
                    place,
                    self._reason(why),
                    packed(batch, row),
                    form="row",
                    received=int(batch.times[row]),
                    once=f"{step} {place}" if stage == "write" and row in places else None,
                )
            )
        return letters

    def _reason(self, text: str) -> str:
        return printable(without_secrets(text, self._secrets))[:LONGEST_REASON]


def _form(data: Payloads | Batch) -> Form:
    if isinstance(data, Batch):
        return "row"
    return "line" if data.refused else "payload"


def payload(data: Payloads | Batch, row: int) -> bytes:
    """What a bad row was: its payload, or the row itself."""
    return bytes(data.payloads[row]) if isinstance(data, Payloads) else packed(data, row)


def packed(batch: Batch, row: int) -> bytes:
    """One row with its time and keys, as the state file keeps it."""
    return encode_batch(batch.take(np.array([row])))


def _beside(data: Payloads | Batch, row: int) -> dict[str, Any]:
    """The columns that came with a payload: a topic, a signal strength."""
    if isinstance(data, Batch):
        return {}
    return {name: _value(values, row) for name, values in data.columns.items()}


def _value(values: Any, row: int) -> Any:
    if isinstance(values, Strings | np.ndarray):
        return to_python(values[row : row + 1])[0]
    return values[row]
