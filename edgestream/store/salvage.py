"""What can still be read of a damaged state file, in a fresh one.

Rules: nothing is made up, and nothing is passed over in silence: what cannot be read is counted.
Where a checkpoint may be among it, the fresh file says that its newest one is damaged, so that a
start goes by the rules for that. Where what sinks remember may not fit any more, it gets a new
identity, so that no new row is taken for one that is there already.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgestream.errors import EXIT_CONFIG, StoreError
from edgestream.store import letters
from edgestream.store.checkpoints import load
from edgestream.store.letters import Held
from edgestream.store.opening import FORMAT, close, connect, reader
from edgestream.store.pages import Lost, Pages, Row, Value
from edgestream.store.wal import commits_behind

KEPT = ("id", "epoch", "crash")
"""Of the table meta; the rest belongs to the file itself."""
_KINDS: Mapping[str, type] = {"INTEGER": int, "TEXT": str, "BLOB": bytes}
ALIKE = ("journal", "outbox", "spool", "dead_letters")
"""Tables whose rows can be told from those of others by what they look like."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of the present format; ``number``: it is the row's own number."""

    name: str
    kind: type
    nullable: bool
    number: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the present format, and the page where it begins."""

    name: str
    root: int
    columns: Sequence[Column]

    def values(self, row: Row) -> list[Value] | None:
        """What a row holds; None where it is none of this table."""
        if not 0 < len(row.values) <= len(self.columns):
            return None
        found: list[Value] = []
        for column, value in zip(self.columns, row.values, strict=False):
            given = row.number if column.number else value
            if given is None and not column.nullable:
                return None
            if given is not None and type(given) is not column.kind:
                return None
            found.append(given)
        return found


@dataclass(slots=True)
class Saved:
    """What became of one table: rows saved, and pages or rows that cannot be read.

    ``between`` are the numbers, first and last, that their rows may have had (None: not known).
    """

    table: str
    rows: int = 0
    lost: int = 0
    between: list[tuple[int, int | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """What was saved of a state file."""

    tables: Sequence[Saved]
    processed: int
    """Input up to this number is in the checkpoint."""
    transactions: int
    """Transactions in the log behind the place where it is damaged: they are lost."""
    checkpoint: int | None
    damaged: Sequence[str]
    """What is wrong with newer checkpoints than that."""
    same: bool
    """Whether the fresh file has the identity of the old one."""

    @property
    def whole(self) -> bool:
        """Whether everything was saved."""
        return not self.transactions and not any(saved.lost for saved in self.tables)


def sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a state file and its log."""
    try:
        connection = reader(path)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
            if commits_behind(path) > 1:
                return False
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def salvage(source: Path, target: Path) -> Report:
    """Save what can be read of ``source`` into a new file ``target``; raises `StoreError`."""
    connection = connect(target)
    try:
        tables = _tables(connection)
        report = _save(source, tables, connection)
        close(connection)
    except BaseException:
        connection.close()
        for end in ("", "-wal", "-shm"):
            Path(f"{target}{end}").unlink(missing_ok=True)
        raise
    return report


def _save(source: Path, tables: Sequence[Table], connection: sqlite3.Connection) -> Report:
    pages = Pages(source)
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = {table.name: _Found(table, connection) for table in _placed(pages, tables)}
        found["meta"].read(pages)
        _check_format(found["meta"].known, source)
        for name, each in found.items():
            if name != "meta":
                each.read(pages)
        if any(each.saved.lost for each in found.values()):
            _take_orphans(pages, found)
    finally:
        pages.close()
    behind = pages.behind if pages.behind > 1 else 0  # one may be torn: it was not acknowledged
    if not any(each.saved.rows for name, each in found.items() if name != "meta"):
        refused = StoreError(f"{source}: nothing in it can be read; start with --fresh")
        refused.exit_code = EXIT_CONFIG
        raise refused
    same = _identify(connection, found, behind)
    _mark_checkpoints(connection, found)
    _count(connection, found["meta"].known)
    connection.execute("COMMIT")
    resume = load(connection)
    journal = found["journal"].saved
    journal.between = list(_missing(connection, journal.between))
    return Report(
        [each.saved for each in found.values()],
        min((int(place.get("seq", 0)) for place in resume.positions.values()), default=0),
        behind,
        resume.generation or None,
        resume.damaged,
        same,
    )


class _Found:
    """The rows of one table, put into the fresh file as they are found."""

    def __init__(self, table: Table, connection: sqlite3.Connection) -> None:
        self.table = table
        self.saved = Saved(table.name)
        self.known: dict[str, str] = {}
        """The rows of meta."""
        self._connection = connection

    def read(self, pages: Pages) -> None:
        """Everything that the table leads to."""
        last, open_ = 0, False
        places: set[int] = set()
        for each in pages.rows(self.table.root):
            values = None if isinstance(each, Lost) else self.table.values(each)
            if values is None or isinstance(each, Lost):
                place = each.page if isinstance(each, Lost) else -each.number
                self.saved.lost += place not in places
                places.add(place)
                open_ = True
                continue
            if open_:
                self.saved.between.append((last + 1, each.number - 1))
            last, open_ = each.number, False
            self.write(values)
        if open_:
            self.saved.between.append((last + 1, None))

    def write(self, values: Sequence[Value]) -> None:
        """One row; what is there twice, once."""
        if self.table.name == "meta":
            self.known[str(values[0])] = str(values[-1])
            if values[0] not in KEPT:
                return
        names = ", ".join(column.name for column in self.table.columns[: len(values)])
        marks = ", ".join("?" * len(values))
        verb = "REPLACE" if self.table.name == "meta" else "IGNORE"
        query = f"INSERT OR {verb} INTO {self.table.name}({names}) VALUES ({marks})"  # noqa: S608
        self.saved.rows += self._connection.execute(query, values).rowcount


def _tables(connection: sqlite3.Connection) -> list[Table]:
    """The tables of a fresh file."""
    return [
        Table(
            name,
            root,
            [
                Column(column, _KINDS[kind], not needed and not key, _is_number(name, kind, key))
                for _, column, kind, needed, _, key in connection.execute(
                    f"PRAGMA table_info({name})"
                )
            ],
        )
        for name, root in connection.execute(
            "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite%'"
        ).fetchall()
    ]


def _is_number(table: str, kind: str, key: int) -> bool:
    return kind == "INTEGER" and key == 1 and table in ("journal", "checkpoints", "dead_letters")


def _placed(pages: Pages, tables: Sequence[Table]) -> Iterator[Table]:
    """The tables where the damaged file has them; where it does not say, as in a fresh file."""
    roots = {
        str(row.values[1]): row.values[3]
        for row in pages.rows(1)
        if isinstance(row, Row) and len(row.values) == 5 and row.values[0] == "table"
    }
    for table in tables:
        root = roots.get(table.name, table.root)
        yield Table(table.name, root if isinstance(root, int) else table.root, table.columns)


def _check_format(known: Mapping[str, str], source: Path) -> None:
    if known.get("format", str(FORMAT)) != str(FORMAT):
        refused = StoreError(
            f"{source} has format {known['format']}, and this edgestream salvages format {FORMAT}; "
            "use the edgestream that wrote it"
        )
        refused.exit_code = EXIT_CONFIG
        raise refused


def _take_orphans(pages: Pages, found: Mapping[str, _Found]) -> None:
    """Rows on whole pages to which no page leads any more."""
    for rows in pages.orphans():
        for name in ALIKE:
            taken = [found[name].table.values(row) for row in rows]
            if rows and all(_belongs(found[name].table, values) for values in taken):
                for values in taken:
                    found[name].write(values or ())
                break


def _missing(
    connection: sqlite3.Connection, between: Sequence[tuple[int, int | None]]
) -> Iterator[tuple[int, int | None]]:
    """What is left of these numbers without those of the blocks that are there after all."""
    for first, last in between:
        at = first
        query = "SELECT seq FROM journal WHERE seq >= ? AND seq <= coalesce(?, seq) ORDER BY seq"
        for (seq,) in connection.execute(query, (first, last)):
            if at < seq:
                yield at, seq - 1
            at = seq + 1
        if last is None or at <= last:
            yield at, last


def _belongs(table: Table, values: Sequence[Value] | None) -> bool:
    if values is None or len(values) != len(table.columns):
        return False
    data = values[-1]
    rows = table.name in ("outbox", "spool")
    return not rows or (isinstance(data, bytes) and data.startswith(b"ES1"))


def _identify(connection: sqlite3.Connection, found: Mapping[str, _Found], behind: int) -> bool:
    """Keep the identity only where the numbers that sinks remember are all known."""
    certain = not behind and not found["meta"].saved.lost and not found["heads"].saved.lost
    if certain and {"id", "epoch"} <= found["meta"].known.keys():
        return True
    connection.execute("UPDATE meta SET value = lower(hex(randomblob(8))) WHERE name = 'id'")
    return False


def _mark_checkpoints(connection: sqlite3.Connection, found: Mapping[str, _Found]) -> None:
    """Put a checkpoint that is none above the others where one may be lost."""
    if found["checkpoints"].saved.lost:
        connection.execute(
            "INSERT INTO checkpoints(epoch, at, cut, crc) SELECT 1 + max(coalesce(max(epoch), 0), "
            "(SELECT coalesce(max(epoch), 0) FROM states), "
            "(SELECT coalesce(max(epoch), 0) FROM event_ids)), 0, '', 1 FROM checkpoints"
        )


def _count(connection: sqlite3.Connection, known: Mapping[str, str]) -> None:
    """Set right what is counted beside the rows themselves."""
    connection.execute(
        "INSERT INTO spools SELECT sink, 0, 0 FROM spool WHERE true GROUP BY sink "
        "ON CONFLICT DO NOTHING"
    )
    connection.execute(
        "UPDATE spools SET size = "
        "(SELECT coalesce(sum(length(data)), 0) FROM spool WHERE spool.sink = spools.sink)"
    )
    held = letters.held_in(connection)
    try:
        dropped = int(json.loads(known["dead_letters"])["dropped"])
    except (ValueError, KeyError, TypeError):
        dropped = 0
    letters.hold(connection, Held(held.rows, held.bytes, dropped))
