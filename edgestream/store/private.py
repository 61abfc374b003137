"""State files belong to the user of the worker alone: they hold what sensors sent.

Rule: a file is made for its owner only, and one that is a link, no plain file, or another user's is
not opened: whoever put it there may have chosen what the worker will believe or overwrite.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgestream.errors import EXIT_PERMISSION, StoreError

BESIDE = ("-wal", "-shm")
"""What SQLite puts beside its file; it gives them the owner and mode of the file itself."""


def private(path: Path) -> None:
    """Make the file at ``path`` where there is none; raises `StoreError` where it is not ours."""
    for suffix in BESIDE:
        _plain(Path(f"{path}{suffix}"))
    _plain(path)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        os.close(os.open(path, flags, 0o600))
    except OSError as error:
        raise _refused(f"cannot open {path}: {error.strerror}") from error


def _plain(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(f"cannot look at {path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "no plain file"
        raise _refused(f"{path} is {kind}; a state file is not opened through it: take it away")
    if found.st_uid != os.geteuid():
        raise _refused(
            f"{path} belongs to user {found.st_uid}, the worker runs as {os.geteuid()}; "
            "run it as that user, or give the file to this one (chown)"
        )


def _refused(words: str) -> StoreError:
    error = StoreError(words)
    error.exit_code = EXIT_PERMISSION
    return error
