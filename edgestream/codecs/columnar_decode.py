"""From payloads of columns to columns: lists are taken over typed, and only checked for length.

A payload is read by a msgspec decoder typed for what is known. If it is refused, its values are
looked at one by one in Python: they teach the columns something, or the payload is rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import GenericAlias
from typing import Annotated, Any, cast

import msgspec

from edgestream.batch import Array
from edgestream.codecs.columns import HIGHEST, LOWEST, Kind, Learnt, Texts, fit, join, piece
from edgestream.codecs.json_spots import unusable
from edgestream.codecs.learning import Learning
from edgestream.codecs.packs import places
from edgestream.component import Decoded, State

MAX_CELLS = 2_097_152
"""Values that one payload may become: one number repeated beside a long list costs few bytes."""
LOOKED_AT = 32

_TYPES: Mapping[Kind, Any] = {
    "int": Annotated[int, msgspec.Meta(ge=LOWEST, le=HIGHEST)],
    "float": float,
    "bool": bool,
    "string": str,
    "array": list,
}
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE = msgspec.json.Decoder()
_TEXT = msgspec.json.Encoder()


class Lists:
    """The state of decoding."""

    def __init__(self, learning: Learning, max_payload: int) -> None:
        """Begin with what is known of the columns."""
        self.learning = learning
        self._max_payload = max_payload
        self._looked_at = 0
        self._names: Sequence[str]
        self._typed: Callable[[bytes], Any]
        self._build()

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""
        self.learning.renew()
        good: list[int] = []
        counts: list[int] = []
        parts: dict[str, list[tuple[int, list[Any] | None]]] = {}
        rejected: dict[int, str] = {}
        for index, payload in enumerate(payloads):
            try:
                values, count = self._read(payload)
            except ValueError as error:
                rejected[index] = str(error)
                continue
            for name in values:
                if name not in parts:
                    parts[name] = [(sum(counts), None)]
            for name, known in parts.items():
                known.append((count, values.get(name)))
            good.append(index)
            counts.append(count)
        total = sum(counts)
        columns = {
            name: join(column, _pieces(column, parts.get(name, [(total, None)])))
            for name, column in self.learning.columns.items()
        }
        return Decoded(columns, total, places(good, counts), rejected)

    def absent(self) -> dict[str, str]:
        """The wanted columns no value came for, with what they might be called."""
        return self.learning.absent()

    @property
    def texts(self) -> list[Texts]:
        """The texts it remembers, of each column."""
        return self.learning.texts

    def snapshot(self) -> State:
        """What was learnt."""
        return self.learning.snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self.learning.restore(saved)
        self._build()

    def _build(self) -> None:
        """Make the decoder for what is known now."""
        columns = [c for c in self.learning.columns.values() if not unusable(c.name)]
        self._names = [column.name for column in columns]
        fields = [(f"f{at}", _type(column), None) for at, column in enumerate(columns)]
        row = msgspec.defstruct(
            "Columns",
            fields,
            rename={f"f{at}": name for at, name in enumerate(self._names)},
            forbid_unknown_fields=self.learning.is_open,
        )
        self._typed = msgspec.json.Decoder(row).decode

    def _read(self, payload: bytes) -> tuple[dict[str, list[Any]], int]:
        """The lists of one payload with their length; ValueError says why it is rejected."""
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        _check_text(payload)
        if self._looked_at < LOOKED_AT:
            self._look_at(payload)
        try:
            row = self._typed(payload)
        except _REFUSALS:
            return self._learn(payload)
        fields = row.__struct_fields__
        found = {
            name: value
            for name, field in zip(self._names, fields, strict=True)
            if (value := getattr(row, field)) is not None
        }
        return _aligned(found, self._others(found, payload))

    def _learn(self, payload: bytes) -> tuple[dict[str, list[Any]], int]:
        """Look at every value, and keep what they teach if all of them fit."""
        raw = _objects(payload)
        taken = self.learning.take(raw)
        for name in taken:
            if unusable(name):
                raise ValueError(f"the field name {name[:40]!r} cannot name a column")
        found = {name: _value(name, raw[name]) for name in taken}
        found = {name: value for name, value in found.items() if value is not None}
        lists, count = _aligned(found, self._others(found, payload))
        kinds: dict[str, Kind | None] = {}
        for name, values in found.items():
            column = taken[name]
            kind = column.kind
            for value in values if isinstance(values, list) else [values]:
                kind = fit(column, kind, value)
            kinds[name] = kind
            if column.fixed and kind == "int":
                lists[name] = [None if value is None else int(value) for value in lists[name]]
        if self.learning.keep(taken, kinds):
            self._build()
        return lists, count

    def _others(self, found: Mapping[str, Any], payload: bytes) -> Sequence[int]:
        """The lengths of lists that are not read, where those that are do not tell the rows."""
        if any(isinstance(value, list) for value in found.values()):
            return ()
        return [
            len(cast("list[Any]", msgspec.json.decode(raw, type=list[msgspec.Raw])))
            for raw in _objects(payload).values()
            if bytes(raw).lstrip().startswith(b"[")
        ]

    def _look_at(self, payload: bytes) -> None:
        """Keep the names of a few payloads."""
        try:
            self.learning.note(_objects(payload))
            self._looked_at += 1
        except ValueError:
            return  # it is rejected in a moment, with its reason


def _type(column: Learnt) -> Any:
    """What is taken over as it is: a list of values, or one value for all rows."""
    if column.kind is None:
        return list[None] | None
    value = _TYPES[column.kind]
    if column.kind == "float" and column.numeric:
        value = value | bool
    listed = GenericAlias(list, (value | None,))
    return listed | None if column.kind == "array" else listed | value | None


def _check_text(payload: bytes) -> None:
    try:
        if not payload.isascii():
            payload.decode()
    except UnicodeDecodeError as error:
        where = f"byte 0x{payload[error.start]:02x} (byte {error.start})"
        raise ValueError(f"not UTF-8: {where}") from None


def _objects(payload: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a payload as they are written; ValueError if it is no object."""
    try:
        return _RAW.decode(payload)
    except msgspec.ValidationError:
        raise ValueError("not an object of columns") from None
    except msgspec.DecodeError as error:
        what = str(error).removeprefix("JSON is malformed: ")
        raise ValueError(f"not JSON: {what[:1].lower()}{what[1:]}") from None
    except RecursionError:
        raise ValueError("nested too deep to be read") from None


def _value(name: str, raw: msgspec.Raw) -> Any:
    try:
        return _VALUE.decode(raw)
    except RecursionError:
        raise ValueError(f"{name}: nested too deep to be read") from None
    except msgspec.MsgspecError as error:
        if "out of range" in str(error):
            raise ValueError(f"{name}: the number is out of range") from None
        raise ValueError(f"{name}: {error}") from None


def _aligned(found: Mapping[str, Any], others: Sequence[int]) -> tuple[dict[str, list[Any]], int]:
    """All as lists of one length; ValueError if there is no such length."""
    lengths = {len(value) for value in found.values() if isinstance(value, list)} | set(others)
    if len(lengths) > 1:
        raise ValueError(_unequal(found, lengths))
    count = next(iter(lengths), 1)
    if count * len(found) > MAX_CELLS:
        raise ValueError(f"more than {MAX_CELLS:,} values in one payload")
    lists = {
        name: value if isinstance(value, list) else [value] * count for name, value in found.items()
    }
    return lists, count


def _unequal(found: Mapping[str, Any], lengths: set[int]) -> str:
    shown = [f"{name} {len(value)}" for name, value in found.items() if isinstance(value, list)]
    if len({text.rpartition(" ")[2] for text in shown}) < 2:
        shown = [str(length) for length in sorted(lengths)]
    return f"the columns differ in length: {', '.join(shown[:4])}"[:200]


def _pieces(
    column: Learnt, parts: Sequence[tuple[int, list[Any] | None]]
) -> Sequence[tuple[int, Array | None]]:
    """Runs of values as arrays; those of payloads without the column stay apart."""
    made: list[tuple[int, Array | None]] = []
    run: list[list[Any]] = []
    for count, values in [*parts, (0, None)]:
        if values is not None:
            run.append(values)
            continue
        if run:
            whole = run[0] if len(run) == 1 else list(chain.from_iterable(run))
            made.append((len(whole), _piece(column, whole)))
            run = []
        made.append((count, None))
    return made


def _piece(column: Learnt, values: list[Any]) -> Array | None:
    if column.kind is None:
        return None
    if column.kind == "array":
        values = [None if value is None else _TEXT.encode(value).decode() for value in values]
    return piece(column, values)
