"""SenML packs (RFC 8428): records resolved from what is said once for all that follow.

A pack is taken whole or refused whole. What a time counts from is left open: below 2**28 it counts
from now, and only who received the pack knows when that was.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

RELATIVE = 2**28
"""Times below this count from the arrival of the pack, in seconds."""
VERSION = 10
MAX_RECORDS = 65_536
MAX_NAME = 1_024
"""A base name is written once and stands before the names of all records."""
_LATEST = 9_000_000_000_000

LABELS: Mapping[int, str] = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
"""The numbers that stand for fields in CBOR."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("bt", "bv", "bs", "v", "s", "t", "ut"), "number"),
    **dict.fromkeys(("bn", "bu", "n", "u", "vs"), "text"),
    **dict.fromkeys(("bver", "vb", "vd"), "own"),
}
_VALUES = frozenset({"v", "vs", "vb", "vd"})
_BASES = frozenset({"bn", "bt", "bu", "bv", "bs"})


class Record(msgspec.Struct, frozen=True, gc=False):
    """One resolved record; ``time`` is in µs, from the arrival of the pack if ``relative``."""

    base: str
    name: str
    unit: str | None
    time: int
    relative: bool
    value: float | None
    text: str | None
    flag: bool | None
    data: str | None
    sum: float | None
    update: float | None

    @property
    def full_name(self) -> str:
        """The name with what stands before all of them."""
        return self.base + self.name


def from_json(payload: bytes) -> list[Any]:
    """The raw records of a JSON pack; ValueError if it is none."""
    try:
        payload.decode()
        return list(msgspec.json.decode(payload, type=list[dict[str, Any]]))
    except UnicodeDecodeError as error:
        where = f"byte 0x{payload[error.start]:02x} (byte {error.start})"
        raise ValueError(f"not UTF-8: {where}") from None
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise ValueError("a number is out of range") from None
        raise ValueError(f"not a list of records: {error}") from None
    except msgspec.DecodeError as error:
        what = str(error).removeprefix("JSON is malformed: ")
        raise ValueError(f"not JSON: {what[:1].lower()}{what[1:]}") from None
    except RecursionError:
        raise ValueError("nested too deep to be read") from None


def from_cbor(value: Any) -> list[Any]:
    """The raw records of a decoded CBOR pack; ValueError if it is none."""
    if not isinstance(value, list):
        raise ValueError("not a list of records")
    return [_spelt_out(record) for record in value]


def _spelt_out(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError("a record is a map")
    made: dict[str, Any] = {}
    for label, value in record.items():
        name = LABELS.get(label, label) if type(label) is int else label
        if name in made:
            raise ValueError(f"{name} comes twice in a record")
        if not isinstance(name, str):
            continue  # a number that stands for nothing yet is passed over
        if name == "vd":
            if not isinstance(value, bytes):
                raise ValueError("vd: expected bytes")
            made[name] = base64.urlsafe_b64encode(value).decode("ascii").rstrip("=")
        else:
            made[name] = value
    return made


def resolve(raw: list[Any]) -> Iterator[Record]:
    """The records of a pack; ValueError says what is wrong with which."""
    if len(raw) > MAX_RECORDS:
        raise ValueError(f"more than {MAX_RECORDS:,} records in a pack")
    base: dict[str, Any] = {}
    for number, record in enumerate(raw, 1):
        try:
            _check(record)
            for key in record.keys() & _BASES:
                base[key] = record[key]
            made = _record(base, record)
        except ValueError as error:
            raise ValueError(f"record {number}: {error}") from None
        if made is not None:
            yield made


def _check(record: Mapping[str, Any]) -> None:
    for key, value in record.items():
        kind = _KINDS.get(key)
        if kind is None:
            if key.endswith("_"):
                raise ValueError(f"the field {key[:40]!r} must be understood, and is not")
        elif kind == "number":
            if type(value) is not float and type(value) is not int:
                raise ValueError(f"{key}: expected a number")
            if not math.isfinite(_float(key, value)):
                raise ValueError(f"{key}: the number is out of range")
        elif kind == "text":
            if type(value) is not str:
                raise ValueError(f"{key}: expected text")
        else:
            _check_own(key, value)
    if len(record.keys() & _VALUES) > 1:
        raise ValueError("more than one of v, vs, vb and vd")


def _check_own(key: str, value: Any) -> None:
    if key == "vd":
        _check_data(value)
    elif key == "vb":
        if type(value) is not bool:
            raise ValueError("vb: expected true or false")
    elif type(value) is not int or not 0 < value <= VERSION:
        raise ValueError(f"bver: this is version {VERSION} of SenML or an earlier one")


def _check_data(data: Any) -> None:
    if not isinstance(data, str) or not re.fullmatch(r"[A-Za-z0-9_\-]*", data):
        raise ValueError("vd: expected base64url without padding")
    try:
        base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
    except binascii.Error:
        raise ValueError("vd: expected base64url without padding") from None


def _record(base: Mapping[str, Any], record: Mapping[str, Any]) -> Record | None:
    """One record; None where it only says what holds for those that follow."""
    if not record.keys() & _VALUES and "s" not in record:
        if record.keys() & {"n", "u", "t", "ut"}:
            raise ValueError("no value: one of v, vs, vb, vd and s is needed")
        return None
    name = base.get("bn", "")[: MAX_NAME + 1] + record.get("n", "")
    if len(name) > MAX_NAME:
        raise ValueError(f"{name[:40]!r}… has more than {MAX_NAME:,} characters")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name")
    time, relative = _time(base.get("bt", 0), record.get("t", 0))
    return Record(
        base=base.get("bn", ""),
        name=record.get("n", ""),
        unit=record.get("u", base.get("bu")),
        time=time,
        relative=relative,
        value=_sum("v", base.get("bv", 0), record["v"]) if "v" in record else None,
        text=record.get("vs"),
        flag=record.get("vb"),
        data=record.get("vd"),
        sum=_sum("s", base.get("bs", 0), record["s"]) if "s" in record else None,
        update=_float("ut", record["ut"]) if "ut" in record else None,
    )


def _time(base: float, time: float) -> tuple[int, bool]:
    seconds = base + time
    if abs(_float("t", seconds)) > _LATEST:
        raise ValueError("t: the time is out of range")
    # Whole seconds stay exact, and fractions are rounded once.
    return round(seconds * 1_000_000), seconds < RELATIVE


def _sum(key: str, base: float, value: float) -> float:
    total = _float(key, base + value)
    if not math.isfinite(total):
        raise ValueError(f"{key}: the number is out of range")
    return total


def _float(key: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{key}: the number is out of range") from None
