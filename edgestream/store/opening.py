"""Opening a state file: safe settings, the present format, and a look at it after a bad end.

Rules: a file that was not closed well is checked before it is used; a damaged one is refused and
left as it is (exit 78), never repaired or replaced in silence. A file of an older format is
brought to the present one in one transaction; one of a newer format is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgestream.errors import EXIT_CONFIG, EXIT_IO, EXIT_PERMISSION, StoreError
from edgestream.store import letters, tables
from edgestream.store.private import private
from edgestream.store.wal import commits_behind

FORMAT = 3
CHECK_SECONDS = 2.0
"""A check that takes longer is broken off: what it has not seen is found when it is read."""
_STEPS = 10_000
POWER, PROCESS = "power", "process"
"""With what the log of a file was written: each commit on the disk, or with the system."""
_PRAGMAS = (
    "PRAGMA page_size=1024",
    "PRAGMA auto_vacuum=NONE",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=OFF",
    "PRAGMA wal_autocheckpoint=16000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-2000",
    "PRAGMA temp_store=MEMORY",
)


def connect(path: Path, *, power_safe: bool = True) -> sqlite3.Connection:
    """Open or create a state file; raises `StoreError`, `sqlite3.Error`.

    ``power_safe``: a commit waits until it is on the disk. Without, the operating system has it: a
    power cut takes back the last ones, whole and from the end, and damages nothing (SQLite, "WAL
    mode with synchronous=NORMAL"). The file knows which of the two its log was written with.
    """
    _make(path)
    _forget_cached(path)
    _look(path, power_safe=power_safe)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _bring_up(connection, path)
        # On the disk before a commit that is not: after a power cut it says what to expect.
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('clean', '0'), ('durability', ?)",
            (POWER if power_safe else PROCESS,),
        )
        if not power_safe:
            connection.execute("PRAGMA synchronous=NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _text(data: bytes) -> str:
    """A bit that has rotted in a text must not end the worker: checksums see it."""
    return data.decode("utf-8", "replace")


def _look(path: Path, *, power_safe: bool) -> None:
    """Refuse what is no state file, of another format or damaged; raises `StoreError`.

    The connection is one that cannot write: closing another would put what it could read of the log
    into the file, and empty it.
    """
    probe = reader(path)
    try:
        probe.execute("PRAGMA schema_version").fetchone()
        behind = commits_behind(path)
        _version(probe, path)
        # A log that was not synced commit by commit may have holes after a power cut.
        synced = _meta(probe, "durability") or (POWER if power_safe else PROCESS)
        if behind > 1 and synced == POWER:
            raise damaged(path, f"its log: {behind} transactions stand behind the damage")
        if _meta(probe, "clean") != "1":
            check(probe, path)
    finally:
        probe.close()


def _forget_cached(path: Path) -> None:
    """Read the file from the disk, not from memory.

    After a failed fsync Linux counts the pages as written: what is in memory may not be on the
    disk, and only what is on the disk may be believed (PostgreSQL wiki, "Fsync Errors").
    """
    for name in (path, Path(f"{path}-wal")):
        if name.exists():
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def reader(path: Path) -> sqlite3.Connection:
    """A state file to look at, beside the worker that has it: nothing can be written through it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = _text
    return connection


@contextlib.contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """A `reader` of a file in the present format; raises `StoreError` for whatever is wrong."""
    connection = reader(path)
    try:
        version = _version(connection, path)
        if version != FORMAT:
            refused = StoreError(
                f"{path} has format {version}; start the worker once to bring it up"
            )
            refused.exit_code = EXIT_CONFIG
            raise refused
        yield connection
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise damaged(path, error) from error
        raise StoreError(f"cannot read {path}: {error}") from error
    finally:
        connection.close()


def close(connection: sqlite3.Connection) -> None:
    """Close a file that is in order: the next start need not check it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('clean', '1')")
    connection.close()


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Look for damaged pages, for a few seconds at most; raises `StoreError`."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        return
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        raise damaged(path, found.splitlines()[-1])


def damaged(path: Path, what: object) -> StoreError:
    """The refusal of a file that SQLite cannot read."""
    refused = StoreError(
        f"{path} is damaged ({what}); nothing in it was changed. Save what can be read with "
        "'edgestream salvage', put a copy or a savepoint in its place, or start with --fresh: the "
        "file is moved aside, and what it held is not used"
    )
    refused.exit_code = EXIT_CONFIG
    return refused


def _make(path: Path) -> None:
    """The file, where there is none; raises `StoreError` where it is empty, or not ours.

    It is made under another name and renamed when it is whole: an empty file has been emptied.
    """
    try:
        if not path.exists() and not path.is_symlink():
            _create(path)
        private(path)
        empty = path.stat().st_size == 0
    except OSError as error:
        raise cannot("open", path, error) from error
    if empty:
        raise damaged(path, "it is empty")


def _create(path: Path) -> None:
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(made, isolation_level=None)
    try:
        for pragma in ("PRAGMA page_size=1024", "PRAGMA secure_delete=OFF"):
            connection.execute(pragma)
        connection.execute("BEGIN IMMEDIATE")
        _create_tables(connection)
        connection.execute("INSERT INTO meta VALUES ('clean', '1')")
        connection.execute("COMMIT")
    finally:
        connection.close()
    made.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def cannot(what: str, path: Path, error: OSError) -> StoreError:
    """The refusal of a path that the operating system refuses."""
    refused = StoreError(f"cannot {what} {path}: {error.strerror}")
    refused.exit_code = EXIT_PERMISSION if isinstance(error, PermissionError) else EXIT_IO
    return refused


def _meta(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _create_tables(connection: sqlite3.Connection) -> None:
    for statement in (tables.SCHEMA + letters.SCHEMA).split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (str(FORMAT),))


def _bring_up(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables of an older format up to date, in one transaction."""
    version = _version(connection, path)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for older in range(version, FORMAT):
            MIGRATIONS[older](connection)
        _create_tables(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    try:
        version = int(_meta(connection, "format") or "")
    except (ValueError, sqlite3.OperationalError):
        refused = StoreError(f"{path} is no state file of edgestream; move it away")
        refused.exit_code = EXIT_CONFIG
        raise refused from None
    if not 1 <= version <= FORMAT:
        refused = StoreError(
            f"{path} has format {version}, and this edgestream reads up to format {FORMAT}; "
            "run the edgestream that wrote it, or start afresh with --fresh"
        )
        refused.exit_code = EXIT_CONFIG
        raise refused
    return version


def _from_1(connection: sqlite3.Connection) -> None:
    """Generations get a checksum and a topology, sinks a number that outlives generations."""
    connection.execute("ALTER TABLE checkpoints ADD COLUMN crc INTEGER")
    connection.execute("ALTER TABLE checkpoints ADD COLUMN topology TEXT NOT NULL DEFAULT ''")
    connection.execute("CREATE TABLE heads(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL)")
    row = connection.execute("SELECT cut FROM checkpoints ORDER BY epoch DESC LIMIT 1").fetchone()
    if row is not None:
        heads = json.loads(row[0])["meta"].get("outbox", {})
        connection.executemany("INSERT INTO heads VALUES (?, ?)", list(heads.items()))


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _from_1, 2: letters.widen}
"""Format → what brings a file from it to the next one."""
