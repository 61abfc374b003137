"""How much the memory of this process grew at its highest, in KiB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Grown:
    """Filled in when the block ends."""

    kib = 0


def _peak() -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    assert found is not None
    return int(found[1])


@contextmanager
def grown() -> Iterator[Grown]:
    """The growth of the peak of resident memory within the block."""
    made = Grown()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is held now
    before = _peak()
    yield made
    made.kib = _peak() - before
