"""What an operator may do beside the contract of `Operator`; the runtime looks for the methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from edgestream.batch import Batch
from edgestream.component import Outputs
from edgestream.schema import Schema


@runtime_checkable
class Refreshed(Protocol):
    """An operator that needs something from outside the stream, such as a table in a file.

    It stays pure: the runtime calls `load` in a thread beside the stream, and `take` between two
    batches; before the first batch, and then again after every `refresh_every`. Either raises
    `Retry` where it cannot be for now: what was taken before then stays, and that is logged once.
    """

    def refresh_every(self) -> int:
        """Nanoseconds between two calls; 0 is never again."""

    def load(self) -> object:
        """Read it. It may wait, and must change nothing."""

    def take(self, loaded: object) -> None:
        """Go on with what `load` gave."""


@runtime_checkable
class Sided(Protocol):
    """An operator that must know which input of its stream rows came from.

    It is the first step of its stream. Inputs are called as in ``from:``. The graph calls these
    in place of ``infer`` and ``process``.
    """

    def infer_sides(self, schemas: Mapping[str, Schema]) -> Schema:
        """The columns that leave, given those of each input; `ConfigError` where they do not fit.

        For a step that is not the first ``schemas`` is empty.
        """

    def process_from(self, side: str, batch: Batch) -> Outputs:
        """The rows that leave because ``batch`` came from the input ``side``."""
