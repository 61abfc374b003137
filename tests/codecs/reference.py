"""What the JSON codec must give, told row by row with the json module of Python and no types."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DEMANDS = {
    "float": {"int", "float", "bool"},
    "int": {"int"},
    "bool": {"bool"},
    "string": {"string"},
}


class Reference:
    """Rows one at a time; ``kinds`` grows as values come."""

    def __init__(self, wanted=None, demanded: Mapping[str, str] | None = None, declared=None):
        self.wanted = wanted
        self.demanded = {n: k for n, k in (demanded or {}).items() if k in DEMANDS}
        self.declared = dict(declared or {})
        self.kinds: dict[str, str] = dict(self.declared)

    def decode(self, payloads: Sequence[bytes]) -> tuple[list[dict[str, Any]], list[int]]:
        """The good rows and the positions of the others."""
        rows, rejected = [], []
        for index, payload in enumerate(payloads):
            try:
                rows.append(self._row(payload))
            except (ValueError, RecursionError):
                rejected.append(index)
        return rows, rejected

    def _row(self, payload: bytes) -> dict[str, Any]:
        if len(payload) > 262_144:
            raise ValueError("large")
        row = json.loads(payload.decode("utf-8"), parse_constant=_refuse, parse_int=_whole)
        if not isinstance(row, dict):
            raise ValueError("no object")
        json.dumps(row, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
        fields = list(_flat(row, ()))
        if self.wanted is not None:
            fields = list(self._wanted(fields))
        kinds = dict(self.kinds)
        values: dict[str, Any] = {}
        depths: dict[str, tuple[int, tuple[str, ...]]] = {}
        for path, value in fields:
            name = ".".join(path)
            if self.wanted is None and not _usable(path):
                raise ValueError("name")
            if isinstance(value, dict):
                continue
            made = self._value(name, value, kinds)
            better = (-len(path), path)
            if values.get(name) is None or (made is not None and better < depths[name]):
                values[name], depths[name] = made, better
        self.kinds = kinds
        return values

    def _wanted(self, fields: Iterable[tuple[tuple[str, ...], Any]]):
        for path, value in fields:
            name = ".".join(path)
            if name not in self.wanted:
                continue
            within = any(other.startswith(name + ".") for other in self.wanted)
            if isinstance(value, dict) and not within:
                raise ValueError("an object where a value is wanted")
            yield path, value

    def _value(self, name: str, value: Any, kinds: dict[str, str]) -> Any:
        if value is None:
            return None
        came = {bool: "bool", int: "int", float: "float", str: "string", list: "array"}[type(value)]
        if came == "array":
            json.dumps(value, allow_nan=False)
        known = kinds.get(name)
        fixed = name in self.declared or self.demanded.get(name) in ("int", "bool", "string")
        if name not in self.declared and self.demanded.get(name, "float") != "float":
            known = self.demanded[name]
        switch = name not in self.declared and self.demanded.get(name) == "float"
        if switch and came not in DEMANDS["float"]:
            raise ValueError("no number")
        if came == "float" and not math.isfinite(value):
            raise ValueError("infinite")
        if came == "int" and not -(2**63) <= value < 2**63:
            if known not in (None, "float"):
                raise ValueError("large")
            came, value = "float", _float(value)
        if known is None:
            known = "float" if switch and came == "bool" else came
        elif known == "int" and came == "float" and fixed:
            if not value.is_integer() or abs(value) >= 2**63:
                raise ValueError("a fraction")
            value = int(value)
        elif known == "int" and (came == "float" or (came == "bool" and switch)):
            known = "float"
        elif known != came and not (
            known == "float" and (came == "int" or (came == "bool" and switch))
        ):
            raise ValueError("another kind")
        kinds[name] = known
        return _float(value) if known == "float" else value


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("infinite") from error


def _flat(value: dict[str, Any], path: tuple[str, ...]):
    if len(path) >= 32:
        raise ValueError("deep")
    for key, inner in value.items():
        yield (*path, key), inner
        if isinstance(inner, dict):
            yield from _flat(inner, (*path, key))


def _usable(path: tuple[str, ...]) -> bool:
    key = path[-1]
    return bool(key) and not any(sign in '"\\' or sign < " " for sign in key)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 1000 else math.inf
