"""The worker with slowed commits: a fast disk hides ordering bugs.

Run as ``python slow_worker.py MILLISECONDS worker …``; sleeps before each commit of the state file.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from typing import Any

from edgestream.cli import main
from edgestream.store.thread import StoreThread


def slow_down(milliseconds: float) -> None:
    commit = StoreThread._commit

    def delayed(self: StoreThread, connection: sqlite3.Connection, group: list[Any]) -> None:
        time.sleep(milliseconds / 1000)
        commit(self, connection, group)

    StoreThread._commit = delayed  # type: ignore[method-assign]


if __name__ == "__main__":
    slow_down(float(sys.argv[1]))
    main(sys.argv[2:])
