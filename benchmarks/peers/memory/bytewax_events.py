"""Bytewax, `fold_window` reading by reading: what a source gives that polls, such as one for MQTT.

Its connectors to files and Kafka give 1,000 at a time.
"""

from __future__ import annotations

import functools

from benchmarks.peers.memory.bytewax_fold import run
from benchmarks.peers.memory.child import main

if __name__ == "__main__":
    main(functools.partial(run, batch=1))
