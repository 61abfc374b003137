"""Room on the disk of a state file: a ballast that is given up when the disk is full.

The ballast is a file of real blocks beside the state file. While the disk is full it makes room
for what is already on its way (journal rows, the checkpoint, what sinks have taken), and comes
back when there is space again. Nothing here knows of threads or waiting.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

BALLAST = 8 * 1024 * 1024
_PART = 16
"""On a small disk the ballast is this part of what is free."""
_LEAST = 64 * 1024


class Space:
    """The ballast of one state file, and whether its disk has room."""

    def __init__(self, path: Path) -> None:
        """Look after the disk of the state file ``path``."""
        self.ballast = path.with_suffix(".ballast")
        self._folder = path.parent

    def keep(self) -> None:
        """Put the ballast there if it is not, and if the disk has room for it."""
        size = min(BALLAST, self._free() // _PART) // 4096 * 4096
        if size < _LEAST or self.ballast.exists():
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.open(self.ballast, flags, 0o600)
        except OSError:
            return  # without it a full disk stops sooner, and that is said when it happens
        try:
            os.posix_fallocate(file, 0, size)
        except OSError:
            self.ballast.unlink()
        finally:
            os.close(file)

    def release(self) -> bool:
        """Give the ballast up; whether there was one."""
        try:
            self.ballast.unlink()
        except OSError:
            return False
        return True

    def enough(self) -> bool:
        """Whether there is room again for the ballast and as much beside it."""
        statistics = os.statvfs(self._folder)
        disk = statistics.f_blocks * statistics.f_frsize
        return self._free() >= max(_LEAST, min(2 * BALLAST, disk // 8))

    def _free(self) -> int:
        statistics = os.statvfs(self._folder)
        return statistics.f_bavail * statistics.f_frsize


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, says that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        name = getattr(error, "sqlite_errorname", "")
        if name in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
            return True
        error = error.__cause__
    return False
