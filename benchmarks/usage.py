"""What a process and its children have used, read from /proc, also when it has just ended."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds, peak memory in MiB, bytes written to disk."""

    cpu: float
    peak: float
    written: int


def usage(pid: int) -> Usage:
    """The usage of a process and its children up to now; 0 where nothing can be read."""
    parts = [_one(one) for one in _tree(pid)]
    return Usage(
        sum(part.cpu for part in parts),
        sum(part.peak for part in parts),
        sum(part.written for part in parts),
    )


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        found += children(parent)
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in _read(task).split()]


def _one(pid: int) -> Usage:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    # own and of children that have ended
    ticks = sum(map(int, fields[11:15]))
    status = _pairs(Path(f"/proc/{pid}/status"))
    written = int(_pairs(Path(f"/proc/{pid}/io")).get("write_bytes", "0"))
    return Usage(ticks / _TICK, int(status.get("VmHWM", "0 kB").split()[0]) / 1024, written)


def _pairs(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in _read(path).splitlines())
    return {name: value.strip() for name, _, value in lines}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""


def ended(pid: int) -> bool:
    """Whether a child has ended and only waits to be asked for its exit code."""
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] in ([], ["Z"])
