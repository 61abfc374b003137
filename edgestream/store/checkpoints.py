"""The checkpoints of a state file: written whole, checked when read, older ones when damaged.

Rules: three generations are kept, each with a checksum over its positions, its meta values and
all its states; a journal row goes only when it is below the oldest kept generation. Numbers of
rows for sinks are never used twice, whatever generation a pipeline starts from: a sink that
remembers a higher one would pass over new rows.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.packing import decode_state, encode_batch, encode_state
from edgestream.store.letters import bury, remove
from edgestream.store.spool import LATE, Waiting, take_back, waiting_in
from edgestream.store.tables import Cut, delivered

GENERATIONS = 3
NONE: Mapping[int, str] = MappingProxyType({})


def save(connection: sqlite3.Connection, cut: Cut, tails: Mapping[str, int]) -> None:
    """Write a checkpoint and drop what no kept checkpoint needs any more.

    ``tails`` says from which number on a source's journal is kept all the same.
    """
    text = json.dumps({"positions": cut.positions, "meta": cut.meta})
    states = [(step, encode_state(state)) for step, state in cut.states.items()]
    connection.execute(
        "INSERT INTO checkpoints(epoch, at, cut, crc, topology) VALUES (?, ?, ?, ?, ?)",
        (cut.epoch, cut.at, text, checksum(text, states), cut.topology),
    )
    connection.executemany(
        "INSERT INTO states VALUES (?, ?, ?)", [(cut.epoch, step, data) for step, data in states]
    )
    connection.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?)",
        [(sink, seq, len(batch), encode_batch(batch)) for sink, seq, batch in cut.outbox],
    )
    connection.executemany(
        "INSERT INTO heads VALUES (?, ?) ON CONFLICT(sink) DO UPDATE SET seq = excluded.seq "
        "WHERE seq < excluded.seq",
        list(cut.meta.get("outbox", {}).items()),
    )
    for sink, seq in cut.delivered.items():
        delivered(connection, sink, seq)
    if cut.replayed:
        remove(connection, cut.replayed)
    if cut.dead_letters:
        bury(connection, cut.dead_letters, cut.bounds)
    _add_ids(connection, cut)
    _forget_old(connection, tails)


def _add_ids(connection: sqlite3.Connection, cut: Cut) -> None:
    """What is new of the ids of events; what is forgotten goes with the chunk it came in."""
    for source, chunk in cut.ids.items():
        data = zlib.crc32(chunk.data).to_bytes(4, "big") + chunk.data
        values = (source, cut.epoch, chunk.newest, data)
        connection.execute("INSERT INTO event_ids VALUES (?, ?, ?, ?)", values)
        old = "DELETE FROM event_ids WHERE source = ? AND newest <= ?"
        connection.execute(old, (source, chunk.floor))


def _ids(connection: sqlite3.Connection, epoch: int) -> dict[str, list[bytes]]:
    """The ids of events up to a checkpoint: those after it come again from the journal."""
    found: dict[str, list[bytes]] = {}
    query = "SELECT source, data FROM event_ids WHERE epoch <= ? ORDER BY epoch"
    for source, data in connection.execute(query, (epoch,)):
        if not isinstance(data, bytes) or data[:4] != zlib.crc32(data[4:]).to_bytes(4, "big"):
            raise StoreError(f"the ids of events of {source} are damaged")
        found.setdefault(source, []).append(data[4:])
    return found


def checksum(text: str, states: Iterable[tuple[str, bytes]]) -> int:
    """A checksum (crc32) over everything a generation is made of, a missing state included."""
    crc = zlib.crc32(text.encode())
    for step, data in sorted(states):
        crc = zlib.crc32(data, zlib.crc32(f"{step} {len(data)} ".encode(), crc))
    return crc


def _forget_old(connection: sqlite3.Connection, tails: Mapping[str, int]) -> None:
    kept = connection.execute(
        "SELECT epoch, cut FROM checkpoints ORDER BY epoch DESC LIMIT ?", (GENERATIONS,)
    ).fetchall()
    epoch, text = kept[-1]
    connection.execute("DELETE FROM states WHERE epoch < ?", (epoch,))
    connection.execute("DELETE FROM checkpoints WHERE epoch < ?", (epoch,))
    try:
        positions = json.loads(text)["positions"]
    except (ValueError, KeyError, TypeError):
        return  # damaged, and gone two checkpoints from now: until then the journal is kept
    for source, position in positions.items():
        if "seq" in position:
            below = min(position["seq"], tails.get(source, 0) - 1)
            connection.execute("DELETE FROM journal WHERE seq <= ? AND source = ?", (below, source))


def forget_checkpoints(connection: sqlite3.Connection) -> None:
    """Best effort keeps state only across a clean stop: a crash must not bring old state back."""
    connection.execute("DELETE FROM states")
    connection.execute("DELETE FROM checkpoints")
    connection.execute("DELETE FROM event_ids")


@dataclass(frozen=True, slots=True)
class Resume:
    """What a pipeline starts from.

    ``damaged`` says what is wrong with each generation that was passed over, the newest first;
    ``ahead`` names the sinks that were given rows after the generation that is left, each with
    the last number that this generation knows of.
    """

    store: str
    epoch: int
    last_seq: int
    positions: Mapping[str, Any]
    meta: Mapping[str, Any]
    states: Mapping[str, State]
    outbox_heads: Mapping[str, int]
    outbox_bytes: Mapping[str, int]
    generation: int = 0
    at: int = 0
    topology: str = ""
    damaged: tuple[str, ...] = ()
    ahead: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    spools: Mapping[str, Waiting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Generation:
    epoch: int
    at: int
    topology: str
    last_seq: int
    positions: Mapping[str, Any]
    meta: Mapping[str, Any]
    states: Mapping[str, State]
    ids: Mapping[str, Sequence[bytes]]


def load(connection: sqlite3.Connection, unfit: Mapping[int, str] = NONE) -> Resume:
    """The newest whole checkpoint, with what is damaged above it; changes nothing.

    Those that are ``unfit`` are passed over like damaged ones, with why. Where ``damaged`` is not
    empty, the caller decides: `go_back`, `start_over`, or not to start.
    """
    store = connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0]
    last_seq = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
    heads = dict(connection.execute("SELECT sink, seq FROM heads"))
    sizes: dict[str, int] = {}
    for sink, top, size in connection.execute(
        "SELECT sink, max(seq), sum(length(data)) FROM outbox GROUP BY sink"
    ):
        heads[sink], sizes[sink] = max(top, heads.get(sink, 0)), size
    spools = waiting_in(connection)
    found, damaged, newest = _newest_whole(connection, unfit)
    if found is None:
        return Resume(
            store, newest, last_seq, {}, {}, {}, heads, sizes, damaged=damaged, spools=spools
        )
    known = found.meta.get("outbox", {})
    ahead = {sink: known.get(sink, 0) for sink in heads if heads[sink] > known.get(sink, 0)}
    return Resume(
        store,
        newest,
        max(last_seq, found.last_seq),
        found.positions,
        found.meta,
        found.states,
        heads,
        sizes,
        found.epoch,
        found.at,
        found.topology,
        damaged,
        ahead if damaged else {},
        found.ids,
        spools,
    )


def _newest_whole(
    connection: sqlite3.Connection, unfit: Mapping[int, str]
) -> tuple[_Generation | None, tuple[str, ...], int]:
    """The newest generation that is whole, why those above it are not, and the newest number."""
    damaged: list[str] = []
    rows = connection.execute(
        "SELECT epoch, at, cut, crc, topology FROM checkpoints ORDER BY epoch DESC"
    ).fetchall()
    newest = rows[0][0] if rows else 0
    for row in rows:
        if row[0] in unfit:
            damaged.append(f"checkpoint {row[0]}: {unfit[row[0]]}")
            continue
        try:
            return _read(connection, row), tuple(damaged), newest
        except StoreError as error:
            damaged.append(f"checkpoint {row[0]}: {error}")
    return None, tuple(damaged), newest


def _read(connection: sqlite3.Connection, row: tuple[Any, ...]) -> _Generation:
    """One generation; raises `StoreError` where it is damaged."""
    epoch, at, text, crc, topology = row
    packed = connection.execute("SELECT step, data FROM states WHERE epoch = ?", (epoch,))
    states = [(str(step), bytes(data)) for step, data in packed]
    # Files of format 1 have no checksum of the whole: there, that of each state must do.
    if crc is not None and (not isinstance(text, str) or crc != checksum(text, states)):
        raise StoreError("its checksum does not match")
    try:
        cut = json.loads(text)
        positions, meta = dict(cut["positions"]), dict(cut["meta"])
        last = max((int(position.get("seq", 0)) for position in positions.values()), default=0)
        for heads in meta.get("outbox", {}).values():
            int(heads)
        for front, value in meta.get("watermarks", {}).values():
            int(value), None if front is None else int(front)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"it is not readable: {error}") from error
    decoded = {step: decode_state(data) for step, data in states}
    ids = _ids(connection, epoch)
    return _Generation(epoch, at, topology or "", last, positions, meta, decoded, ids)


def incarnation(connection: sqlite3.Connection) -> int:
    """The epoch of this start: higher than that of every earlier one, and in the file already.

    The lower 16 bits are random, so that two workers on copies of one file do not hold the same.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    epoch = ((int(row[0]) if row else 0) >> 16) + 1 << 16 | secrets.randbits(16)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (str(epoch),))
    return epoch


def go_back(connection: sqlite3.Connection, resume: Resume) -> None:
    """Make the generation of ``resume`` the newest: what was made of the input after it goes.

    Rows that no sink has taken are made again from the journal, under new numbers.
    """
    connection.execute("DELETE FROM states WHERE epoch > ?", (resume.generation,))
    connection.execute("DELETE FROM checkpoints WHERE epoch > ?", (resume.generation,))
    connection.execute("DELETE FROM event_ids WHERE epoch > ?", (resume.generation,))
    for sink, seq in resume.ahead.items():
        connection.execute("DELETE FROM outbox WHERE sink = ? AND seq > ?", (sink, seq))
        if sink.endswith(LATE):
            take_back(connection, sink.removesuffix(LATE), seq)


def start_over(connection: sqlite3.Connection, positions: Mapping[str, Any], at: int) -> None:
    """Begin again without any state, from ``positions`` on (none: from the journal's start).

    Rows that wait for sinks and dead letters stay; numbers of rows go on.
    """
    newest = connection.execute("SELECT coalesce(max(epoch), 0) FROM checkpoints").fetchone()[0]
    forget_checkpoints(connection)
    heads = dict(connection.execute("SELECT sink, seq FROM heads"))
    save(connection, Cut(newest + 1, at, positions, {"outbox": heads}, {}), tails={})


def left(connection: sqlite3.Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Messages in the journal after the newest checkpoint by source; batches waiting by sink."""
    row = connection.execute("SELECT cut FROM checkpoints ORDER BY epoch DESC LIMIT 1").fetchone()
    positions = json.loads(row[0])["positions"] if row is not None else {}
    unprocessed: dict[str, int] = {}
    for (source,) in connection.execute("SELECT DISTINCT source FROM journal").fetchall():
        after = int(positions.get(source, {}).get("seq", 0))
        query = "SELECT coalesce(sum(n), 0) FROM journal WHERE source = ? AND seq > ?"
        unprocessed[source] = connection.execute(query, (source, after)).fetchone()[0]
    waiting: dict[str, int] = {}
    for table in ("outbox", "spool"):
        for sink, count in connection.execute(
            f"SELECT sink, count(*) FROM {table} GROUP BY sink"  # noqa: S608 - the two names above
        ):
            waiting[sink] = waiting.get(sink, 0) + count
    return unprocessed, waiting


def give_up(connection: sqlite3.Connection, sink: str) -> None:
    """Drop all rows that wait for a sink that is gone."""
    for table in ("outbox", "spool", "spools"):
        connection.execute(f"DELETE FROM {table} WHERE sink = ?", (sink,))  # noqa: S608
