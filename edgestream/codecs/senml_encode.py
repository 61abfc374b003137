"""From rows to SenML records: fields that are missing are left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgestream.batch import NAT, Batch, Column, Strings, to_python
from edgestream.codecs.senml_records import LABELS, NAME, RELATIVE
from edgestream.errors import ConfigError, Problem, Rejected

_NUMBER_OF = {name: label for label, name in LABELS.items()}
_FIELDS = {"name": "n", "unit": "u", "value": "v", "text": "vs", "data": "vd", "sum": "s"}


def records(batch: Batch, *, pivot: bool, together: bool) -> list[list[dict[str, Any]]]:
    """The records of each row; `Rejected` for rows that SenML cannot say.

    ``together`` rows are one pack, where a row must undo what those before it said of all.
    """
    _check_columns(batch, pivot)
    times = _times(batch)
    lists = {name: to_python(column) for name, column in batch.columns.items() if name != "time"}
    made: list[list[dict[str, Any]]] = []
    rejected: dict[int, str] = {}
    for row, time in enumerate(times):
        values = {name: column[row] for name, column in lists.items() if column[row] is not None}
        try:
            made.append(_wide(values, time, together) if pivot else [_long(values, time)])
        except ValueError as error:
            rejected[row] = str(error)
    if rejected:
        raise Rejected(rejected)
    return made


def numbered(record: Mapping[str, Any]) -> dict[int, Any]:
    """A record as CBOR writes it: numbers for names, and data as bytes."""
    made = {_NUMBER_OF[key]: value for key, value in record.items()}
    if "vd" in record:
        made[_NUMBER_OF["vd"]] = _bytes(record["vd"])
    return made


def _check_columns(batch: Batch, pivot: bool) -> None:
    if not pivot and "name" not in batch:
        hint = "pivot: true writes a record for each column"
        raise ConfigError(Problem("there is no column 'name' to write", hint=hint))
    for name, column in batch.columns.items():
        is_time = not isinstance(column, Strings) and column.dtype.kind == "M"
        if name == "time" and not is_time:
            raise ConfigError(f"the column {name!r} holds no times")
        if name != "time" and is_time:
            raise ConfigError(f"the column {name!r} holds times; SenML has one of them, 'time'")


def _times(batch: Batch) -> list[int | float | None]:
    """Seconds since the epoch, whole where they are."""
    column: Column | None = batch.columns.get("time")
    if column is None or isinstance(column, Strings):
        return [None] * len(batch)
    micros = column.astype("datetime64[us]").astype(np.int64).tolist()
    return [
        None if time == NAT else time / 1_000_000 if time % 1_000_000 else time // 1_000_000
        for time in micros
    ]


def _long(values: Mapping[str, Any], time: float | None) -> dict[str, Any]:
    record = {_FIELDS[name]: values[name] for name in _FIELDS if name in values}
    if "flag" in values:
        record["vb"] = bool(values["flag"])
    if "update" in values:
        record["ut"] = values["update"]
    _add_time(record, "t", time)
    _check_name(str(record.get("n", "")))
    if sum(key in record for key in ("v", "vs", "vb", "vd")) > 1:
        raise ValueError("more than one of value, text, flag and data")
    if not record.keys() & {"v", "vs", "vb", "vd", "s"}:
        raise ValueError("no value, text, flag, data or sum")
    if "vd" in record:
        _bytes(record["vd"])
    return record


def _wide(values: Mapping[str, Any], time: float | None, together: bool) -> list[dict[str, Any]]:
    base = str(values.get("base", ""))
    made = [{"n": name, _key(value): value} for name, value in values.items() if name != "base"]
    if not made:
        raise ValueError("no value")
    for record in made:
        _check_name(base + record["n"])
    head: dict[str, Any] = {"bn": base} if base or together else {}
    if together:
        head["bt"] = 0
    _add_time(head, "bt", time)
    return [{**head, **made[0]}, *made[1:]]


def _key(value: Any) -> str:
    return "vb" if isinstance(value, bool) else "vs" if isinstance(value, str) else "v"


def _add_time(record: dict[str, Any], key: str, time: float | None) -> None:
    if time is None:
        return
    if time < RELATIVE:
        raise ValueError("time: before July 1978 it would count from the arrival")
    record[key] = time


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name in SenML")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"data: {text[:40]!r} is not base64url") from None
