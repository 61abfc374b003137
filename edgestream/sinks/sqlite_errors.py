"""Errors of SQLite in words, each as what the runtime shall do about it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from edgestream.errors import (
    EXIT_CONFIG,
    EXIT_IO,
    EXIT_PERMISSION,
    ComponentError,
    Disconnected,
    Fatal,
    Retry,
)


def in_words(error: sqlite3.Error, path: str) -> ComponentError:
    """What went wrong with the database at ``path`` and what to do about it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Retry(f"{path} is locked by another process; waiting for it to finish")
    if code == sqlite3.SQLITE_FULL:
        return Retry(f"disk full: {_free(path)} free for {path}; waiting for space")
    if code == sqlite3.SQLITE_NOTADB:
        return Fatal(f"{path} is not an SQLite database; name another file", EXIT_CONFIG)
    if code == sqlite3.SQLITE_CORRUPT:
        return Fatal(f"{path} is damaged ({error}); restore a copy or name another file", EXIT_IO)
    if code == sqlite3.SQLITE_IOERR:
        return Fatal(f"{path} cannot be read or written ({error}); look at the disk", EXIT_IO)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return _forbidden(path)
    if code == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(path)
    if "no such table" in str(error) or "no column named" in str(error):
        return Disconnected(f"the table in {path} was changed by another program: {error}")
    return Fatal(f"{path}: {error}", EXIT_CONFIG)


def _cannot_open(path: str) -> Fatal:
    if not Path(path).parent.is_dir():
        return Fatal(f"there is no folder {Path(path).parent}; create it", EXIT_CONFIG)
    if Path(path).is_dir():
        return Fatal(f"{path} is a folder; name a file in it", EXIT_CONFIG)
    return _forbidden(path)


def _forbidden(path: str) -> Fatal:
    return Fatal(
        f"{path} may not be written; give this user write permission for it and for its folder",
        EXIT_PERMISSION,
    )


def _free(path: str) -> str:
    try:
        free = shutil.disk_usage(Path(path).parent).free
    except OSError:
        return "unknown space"
    return f"{free / 1024**2:.0f} MiB"
