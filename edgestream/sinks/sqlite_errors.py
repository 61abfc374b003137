"""Errors of SQLite in words, each as what the runtime shall do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edgestream.errors import EXIT_CONFIG, EXIT_IO, ComponentError, Disconnected, Fatal, Held
from edgestream.sinks.disk import disk_full, forbidden, no_place


def in_words(error: sqlite3.Error, path: str) -> ComponentError:
    """What went wrong with the database at ``path`` and what to do about it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Held(f"{path} is locked by another process; waiting for it to finish")
    if code == sqlite3.SQLITE_FULL:
        return disk_full(path)
    if code == sqlite3.SQLITE_NOTADB:
        return Fatal(f"{path} is not an SQLite database; name another file", EXIT_CONFIG)
    if code == sqlite3.SQLITE_CORRUPT:
        return Fatal(f"{path} is damaged ({error}); restore a copy or name another file", EXIT_IO)
    if code == sqlite3.SQLITE_IOERR:
        return Fatal(f"{path} cannot be read or written ({error}); look at the disk", EXIT_IO)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return forbidden(path)
    if code == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(path)
    if "no such table" in str(error) or "no column named" in str(error):
        return Disconnected(f"the table in {path} was changed by another program: {error}")
    return Fatal(f"{path}: {error}", EXIT_CONFIG)


def in_the_data(error: sqlite3.Error) -> bool:
    """Whether some row may be at fault: another batch could be written by the same statement."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    about_table = ("no such table", "no column named", "has no column")
    if any(words in str(error) for words in about_table):
        return False
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH)


def _cannot_open(path: str) -> Fatal:
    absent = Path(path).is_dir() or not Path(path).parent.is_dir()
    return no_place(path) if absent else forbidden(path)
