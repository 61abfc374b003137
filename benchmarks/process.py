"""What a process has used, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds, peak and present memory in MiB, bytes written to disk."""

    cpu: float
    peak: float
    resident: float
    written: int


def usage(pid: int) -> Usage:
    """The usage of a process up to now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return Usage(
        ticks / os.sysconf("SC_CLK_TCK"),
        int(status["VmHWM"].split()[0]) / 1024,
        int(status["VmRSS"].split()[0]) / 1024,
        int(io["write_bytes"]),
    )
