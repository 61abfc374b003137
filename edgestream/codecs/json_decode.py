"""From payloads that are objects to columns: typed and fast, with a look in Python at what is new.

A chunk is read by a decoder typed for what is known, payload by payload. If any payload is
refused, each one of its chunk is read alone, and what does not fit is looked at in Python: it
teaches the layout something, or is rejected with its reason. What the payloads are made of (JSON,
MessagePack, CBOR) is the business of a `Form`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec
import numpy as np

from edgestream.batch import Array
from edgestream.codecs.columns import Texts, join, piece, to_meta
from edgestream.codecs.json_layout import MAX_FIELDS, Layout
from edgestream.codecs.json_rows import Reader
from edgestream.component import Decoded, State
from edgestream.errors import ConfigError, did_you_mean

CHUNK = 1024
"""Rows decoded together: the objects of more no longer fit in the L2 cache."""
FIRST_CHUNK = 64
LOOKED_AT = 32
"""Objects whose field names are kept, to tell what a missing column might be called."""

REFUSALS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What is raised where a row is not of the type that was expected."""


class Form(Protocol):
    """What payloads are made of.

    What the typed decoder takes, `object` must take too, and give the same.
    """

    codec: str

    def decoder(self, row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
        """What reads a payload as a row, or refuses it."""

    def clean(self, chunk: Sequence[bytes]) -> bool:
        """Whether all payloads pass `check`, as far as that is known at once."""

    def check(self, payload: bytes) -> None:
        """Raise ValueError for what the decoder would not notice."""

    def object(self, payload: bytes) -> dict[str, Any]:
        """The wanted fields of a payload as JSON values; ValueError if it is no object."""

    def names(self, payload: bytes) -> Iterable[str]:
        """The names of all columns that a payload could give."""


class Reading:
    """The state of decoding: the layout, and the decoder and readers made for it."""

    def __init__(self, layout: Layout, form: Form) -> None:
        """Begin with what is known of the layout."""
        self.layout = layout
        self._form = form
        self._names: set[str] = set()
        self._looked_at = 0
        self._row: type[msgspec.Struct]
        self._typed: Callable[[bytes], Any]
        self._readers: Mapping[str, Reader | None]
        self._build()

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""
        self._renew()
        return self._each(payloads)

    def _renew(self) -> None:
        """Between batches: forget texts if there are too many."""
        for column in self.layout.columns.values():
            column.texts.renew()

    def _each(self, payloads: Sequence[bytes]) -> Decoded:
        """The same, each payload read for itself."""
        columns = self.layout.columns
        rejected: dict[int, str] = {}
        counts: list[int] = []
        pieces: dict[str, list[Array | None]] = {}
        start = 0
        while start < len(payloads):
            size = CHUNK if self._looked_at else FIRST_CHUNK
            chunk = payloads[start : start + size]
            rows = self._read(chunk, start, rejected)
            for name, read in self._readers.items():
                part = None if read is None else piece(columns[name], read(rows))
                pieces.setdefault(name, [None] * len(counts)).append(part)
            counts.append(len(rows))
            if rows and self._looked_at < LOOKED_AT:
                self._look_at(chunk, start, rejected)
            start += size
        made = {
            name: join(column, zip(counts, pieces.get(name, [None] * len(counts)), strict=True))
            for name, column in columns.items()
        }
        good = None
        if rejected:
            good = np.array([row for row in range(len(payloads)) if row not in rejected], np.int64)
        return Decoded(made, sum(counts), good, rejected)

    def absent(self) -> dict[str, str]:
        """The wanted columns no value came for, with what they might be called."""
        if not self._looked_at:
            return {}
        return {name: did_you_mean(name, self._names) for name in self.layout.unseen()}

    @property
    def texts(self) -> list[Texts]:
        """The texts it remembers, of each column."""
        return [column.texts for column in self.layout.columns.values()]

    def snapshot(self) -> State:
        """What was learnt."""
        meta = {"columns": to_meta(self.layout.columns.values()), "fields": self.layout.to_meta()}
        return State(1, meta, {})

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        if saved.version != 1:
            raise ConfigError(
                f"the state of the {self._form.codec} codec has the unknown version {saved.version}"
            )
        self.layout.from_meta(saved.meta["fields"], saved.meta["columns"])
        self._build()

    def _build(self) -> None:
        """Make the decoder for what is known now."""
        self._row = self.layout.row_type()
        self._typed = self._form.decoder(self._row)
        self._readers = self.layout.readers()

    def _read(self, chunk: Sequence[bytes], start: int, rejected: dict[int, str]) -> list[Any]:
        """The good rows of a chunk."""
        clean = self._form.clean(chunk)
        if clean:
            try:
                return list(map(self._typed, chunk))
            except REFUSALS:
                return self._read_each(chunk, start, rejected, clean)
        return self._read_each(chunk, start, rejected, clean)

    def _read_each(
        self, chunk: Sequence[bytes], start: int, rejected: dict[int, str], clean: bool
    ) -> list[Any]:
        """The good rows of a chunk, each payload read alone."""
        kept: list[tuple[bytes, Any]] = []
        changed = False
        for index, payload in enumerate(chunk, start):
            try:
                if not clean:
                    self._form.check(payload)
                row = self._try(payload)
                if row is None:
                    row = self._form.object(payload)
                    changed = self.layout.learn(row) or changed
            except ValueError as error:
                rejected[index] = str(error)
            else:
                kept.append((payload, row))
        if changed:
            self._build()
        return [
            row
            if isinstance(row, self._row)
            else msgspec.convert(row, self._row)
            if isinstance(row, dict)
            else self._typed(payload)
            for payload, row in kept
        ]

    def _try(self, payload: bytes) -> Any | None:
        try:
            return self._typed(payload)
        except REFUSALS:
            return None

    def _look_at(self, chunk: Sequence[bytes], start: int, rejected: Mapping[int, str]) -> None:
        """Keep the field names of a few objects."""
        for index, payload in enumerate(chunk, start):
            if index in rejected or self._looked_at >= LOOKED_AT:
                continue
            self._looked_at += 1
            with contextlib.suppress(ValueError):  # deep in a field that is not read
                room = MAX_FIELDS - len(self._names)
                self._names.update(islice(self._form.names(payload), max(0, room)))
