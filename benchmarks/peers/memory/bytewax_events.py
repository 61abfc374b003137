"""Bytewax, `fold_window` reading by reading: what its sources give unless they gather batches."""

from __future__ import annotations

import functools

from benchmarks.peers.memory.bytewax_fold import run
from benchmarks.peers.memory.child import main

if __name__ == "__main__":
    main(functools.partial(run, batch=1))
