"""One worker a state file: an advisory lock held for the life of the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from edgestream.errors import EXIT_PERMISSION, StoreError, StoreLocked


class Lock:
    """An exclusive ``flock`` on a file that names the process that holds it."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises `StoreLocked` with the holder's process id."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            refused = StoreError(f"cannot write {path}: {error.strerror}")
            refused.exit_code = EXIT_PERMISSION if isinstance(error, PermissionError) else 74
            raise refused from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreLocked(
                f"{path.with_suffix('.db')} is in use by another worker (process {holder}); "
                "stop it, or give this pipeline another name"
            ) from error
        os.ftruncate(self._file, 0)
        # Who holds it is only told to people; a full disk has no room for that.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back; the file stays."""
        os.close(self._file)
