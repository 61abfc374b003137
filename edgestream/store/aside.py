"""Blocks of a state file that give back other bytes than were written: set aside as dead letters.

Rule: what is damaged is never read as something else, its bytes are kept, what was in it is said,
and it does not stand in the way of what is whole behind it. A block goes from its table in the
transaction in which its dead letter is written.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgestream.store.letters import Bounds, DeadLetter, bury

Table: TypeAlias = Literal["journal", "outbox", "spool"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stored block: of a source's input, or of rows for a sink (``name``)."""

    table: Table
    name: str
    seq: int
    rows: int
    at: int
    data: object


class Aside:
    """Sets blocks aside, and remembers which, until somebody tells of them."""

    def __init__(self, bounds: Bounds) -> None:
        """Within the ``bounds`` of dead letters."""
        self._bounds = bounds
        self._new: dict[tuple[Table, str, int], DeadLetter] = {}
        self._changing = threading.Lock()

    def put(self, connection: sqlite3.Connection, block: Block, why: str) -> None:
        """Set a block aside (in the store's thread; again where the transaction is tried again)."""
        letter = DeadLetter(
            time.time_ns(),
            block.name,
            "store",
            json.dumps({block.table: block.seq, "rows": block.rows}),
            why,
            block.data if isinstance(block.data, bytes) else str(block.data).encode(),
            form="block",
            received=block.at,
        )
        owner = "source" if block.table == "journal" else "sink"
        connection.execute(
            f"DELETE FROM {block.table} WHERE {owner} = ? AND seq = ?",  # noqa: S608 - the names above
            (block.name, block.seq),
        )
        bury(connection, [letter], self._bounds)
        with self._changing:
            self._new[block.table, block.name, block.seq] = letter

    def take(self) -> list[DeadLetter]:
        """Those set aside since the last call."""
        with self._changing:
            taken, self._new = self._new, {}
        return list(taken.values())
