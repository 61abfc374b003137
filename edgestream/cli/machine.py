"""What `edgestream doctor` looks at on this machine: state folder, disk, clock, limits, devices.

Every check gives findings in words that say what to do; none changes a setting, and the one file
that is written is removed again.
"""

from __future__ import annotations

import grp
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Mark: TypeAlias = Literal["ok", "warn", "fail"]

WRITES = 16
"""How many blocks of 4 KiB are written to see how long it takes until one is on disk."""
TOO_FAST = 50e-6
"""No disk without a battery keeps 4 KiB in less; it only says so. In seconds."""
SLOW = 0.1
LEAST_FREE = 256 << 20
LITTLE_FREE = 1 << 30
FIRST_YEAR = 2026
FEW_FILES = 1024
SERIAL = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS[0-3]", "serial*")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do where it is not well."""

    mark: Mark
    what: str
    found: str
    advice: str = ""


def state_folder(folder: Path) -> Iterator[Finding]:
    """Whether state can be kept, with how much room, and what it is kept on."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not folder.exists():
        if os.access(nearest, os.W_OK):
            yield Finding("ok", "state folder", f"{folder} will be made")
        else:
            advice = f"set EDGESTREAM_STATE_DIR, or: sudo install -d -o $USER {folder}"
            yield Finding("fail", "state folder", f"{folder} is not there", advice)
            return
    elif not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        advice = f"set EDGESTREAM_STATE_DIR, or: sudo chown $USER {folder}"
        yield Finding("fail", "state folder", f"{folder} cannot be written to", advice)
        return
    else:
        yield Finding("ok", "state folder", str(folder))
    yield _free(nearest)
    kind, device = filesystem(nearest)
    yield from _kept_on(kind)
    yield _durable(nearest, device)


def _free(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    shown = f"{free / (1 << 30):,.1f} GiB free"
    if free < LEAST_FREE:
        return Finding("fail", "free space", shown, "make room: the journal needs some")
    if free < LITTLE_FREE:
        advice = "make room, or a sink that is away for long fills the disk"
        return Finding("warn", "free space", shown, advice)
    return Finding("ok", "free space", shown)


def _kept_on(kind: str) -> Iterator[Finding]:
    if kind in ("tmpfs", "ramfs"):
        advice = "set EDGESTREAM_STATE_DIR to a folder on a disk"
        yield Finding("warn", "state on", f"{kind}: gone after a restart", advice)
    elif kind == "overlay":
        advice = "mount a volume there, or the state goes with the container"
        yield Finding("warn", "state on", "the container's own layer", advice)
    elif kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"):
        advice = "SQLite needs a local disk: set EDGESTREAM_STATE_DIR to one"
        yield Finding("fail", "state on", f"{kind}, a network file system", advice)
    elif kind:
        yield Finding("ok", "state on", kind)


def _durable(folder: Path, device: str) -> Finding:
    try:
        seconds = fsync_seconds(folder)
    except OSError as error:
        text = f"a file could not be synced: {error.strerror}"
        return Finding("fail", "fsync", text, "look at the disk: dmesg | tail")
    shown = f"{seconds * 1e3:.3f} ms for 4 KiB"
    if seconds < TOO_FAST:
        card = " (an SD card or eMMC)" if "mmcblk" in device else ""
        advice = (
            f"the disk{card} may say that it is done before it is: after a power cut the last "
            "rows can be gone"
        )
        return Finding("warn", "fsync", shown, advice)
    if seconds > SLOW:
        advice = "acknowledging waits for it; a disk of its own, or an SSD, helps"
        return Finding("warn", "fsync", shown, advice)
    return Finding("ok", "fsync", shown)


def fsync_seconds(folder: Path) -> float:
    """The median time in which a block of 4 KiB is written and synced."""
    block = os.urandom(4096)
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(WRITES):
            began = time.perf_counter()
            file.write(block)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def filesystem(folder: Path, mounts: str | None = None) -> tuple[str, str]:
    """The kind of file system a folder is on, and its device; empty where it is not known."""
    if mounts is None:
        table = Path("/proc/self/mounts")
        mounts = table.read_text(encoding="utf-8") if table.exists() else ""
    best = ("", "", "")
    for line in mounts.splitlines():
        device, point, kind, *_ = [*line.split(" "), "", "", ""]
        point = point.replace("\\040", " ")
        if folder.absolute().is_relative_to(point or "?") and len(point) >= len(best[0]):
            best = (point, kind, device)
    return best[1], best[2]


def clock(year: int | None = None, synchronized: str | None = None) -> Iterator[Finding]:
    """Whether the time can be right, and whether somebody keeps it so."""
    year = year or time.gmtime().tm_year
    if year < FIRST_YEAR:
        advice = "set it: sudo timedatectl set-ntp true; a board without a clock needs a network"
        yield Finding("fail", "clock", f"the year is {year}", advice)
    else:
        yield Finding("ok", "clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    answer = _timedatectl() if synchronized is None else synchronized
    if answer == "yes":
        yield Finding("ok", "time service", "the clock is synchronized")
    elif answer == "no":
        advice = "sudo timedatectl set-ntp true, or install chrony"
        yield Finding("warn", "time service", "the clock is not synchronized", advice)


def _timedatectl() -> str:
    """``yes`` or ``no``; empty where nobody can tell, as in a container."""
    found = shutil.which("timedatectl")
    if found is None:
        return ""
    asked = [found, "show", "--property=NTPSynchronized", "--value"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def limits(soft: int | None = None) -> Iterator[Finding]:
    """How many files may be open at once."""
    if soft is None:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    shown = "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        advice = "ulimit -n 4096, or LimitNOFILE=4096 in a systemd unit"
        yield Finding("warn", "open files", shown, advice)
    else:
        yield Finding("ok", "open files", shown)


def serial_devices(devices: Path = Path("/dev")) -> Iterator[Finding]:
    """Serial ports, and whether they may be used."""
    found = sorted({path for pattern in SERIAL for path in devices.glob(pattern)})
    for path in found:
        if os.access(path, os.R_OK | os.W_OK):
            yield Finding("ok", "serial port", str(path))
        else:
            group = _group(path)
            advice = f"sudo usermod -aG {group} $USER, then log in again"
            yield Finding("warn", "serial port", f"{path} may not be read by you", advice)
    if not found:
        yield Finding("ok", "serial port", "none is there")


def _group(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except (KeyError, OSError):
        return "dialout"
