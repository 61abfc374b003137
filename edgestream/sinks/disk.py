"""Errors of files in words, each as what the runtime shall do about it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from edgestream.errors import (
    EXIT_CONFIG,
    EXIT_IO,
    EXIT_PERMISSION,
    ComponentError,
    Fatal,
    Retry,
)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def worded(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the file at ``path`` in words."""
    try:
        yield
    except OSError as error:
        raise in_words(error, str(path)) from error


def in_words(error: OSError, path: str) -> ComponentError:
    """What went wrong with the file at ``path`` and what to do about it."""
    if error.errno in _FULL:
        return disk_full(path)
    if error.errno in _FORBIDDEN:
        return forbidden(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return no_place(path)
    reason = error.strerror or str(error)
    return Fatal(f"{path} cannot be written: {reason}; look at the disk", EXIT_IO)


def disk_full(path: str) -> Retry:
    """There is no space left, for now."""
    try:
        disk = os.statvfs(Path(path).parent)
        free = f"{disk.f_bavail * disk.f_frsize / 1024**2:.0f} MiB"
    except OSError:
        free = "an unknown part"
    return Retry(f"disk full: {free} free for {path}; waiting for space")


def forbidden(path: str) -> Fatal:
    """This user may not write there."""
    return Fatal(
        f"{path} may not be written; give this user write permission for it and for its folder",
        EXIT_PERMISSION,
    )


def no_place(path: str) -> Fatal:
    """There can be no file of that name."""
    if Path(path).is_dir():
        return Fatal(f"{path} is a folder; name a file in it", EXIT_CONFIG)
    return Fatal(f"there is no folder {Path(path).parent}; create it", EXIT_CONFIG)
