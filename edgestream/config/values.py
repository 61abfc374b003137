"""The kinds of value a configuration field may hold beside plain Python ones.

In a class, a field is annotated `Duration` or `Size`; after construction it always holds a
`Nanos` or a `Bytes`, whichever way it was written.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_SIZES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
_QUANTITY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]+)")
_MAX = 2**63 - 1
_log = logging.getLogger("edgestream")


class Nanos(int):
    """A duration in nanoseconds."""

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self / 1_000_000_000

    def __repr__(self) -> str:
        """As written in YAML: ``10s``, ``250ms``."""
        for unit in ("d", "h", "m", "s", "ms", "us"):
            if self and self % _UNITS[unit] == 0:
                return f"{self // _UNITS[unit]}{unit}"
        return f"{int(self)}ns" if self else "0s"

    __str__ = __repr__


class Bytes(int):
    """A size in bytes."""

    def __repr__(self) -> str:
        """As written in YAML: ``64KiB``."""
        for unit in ("GiB", "MiB", "KiB"):
            if self and self % _SIZES[unit] == 0:
                return f"{self // _SIZES[unit]}{unit}"
        return f"{int(self)}B"

    __str__ = __repr__


Duration: TypeAlias = Nanos | str
"""Field annotation: written ``10s``, held as `Nanos`."""
Size: TypeAlias = Bytes | str
"""Field annotation: written ``64KiB``, held as `Bytes`."""


def nanos(value: Duration) -> Nanos:
    """Read ``250ms 10s 5m 2h 7d``; raises ValueError with what is accepted."""
    if isinstance(value, Nanos):
        return value
    return Nanos(_quantity(value, _UNITS, "a duration such as 250ms, 10s, 5m, 2h or 7d"))


def nbytes(value: Size) -> Bytes:
    """Read ``64KiB 1GiB 500B``; raises ValueError with what is accepted."""
    if isinstance(value, Bytes):
        return value
    return Bytes(_quantity(value, _SIZES, "a size such as 64KiB, 10MiB or 1GiB"))


def _quantity(text: str, units: dict[str, int], wanted: str) -> int:
    match = _QUANTITY.fullmatch(str(text).strip())
    if str(text).strip() == "0":
        return 0
    if match is None or match[2] not in units:
        raise ValueError(f"expected {wanted}, got {text!r}")
    whole, _, fraction = match[1].partition(".")
    unit = units[match[2]]
    result = int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
    if result > _MAX:
        raise ValueError(f"{text!r} is too large")
    return result


class Secret:
    """A value that never appears in a log, an error or a page: ``reveal()`` is the only way in."""

    __slots__ = ("_read", "_value", "origin")

    def __init__(self, value: str, origin: str, read: Callable[[], str] | None = None) -> None:
        """Hold ``value``; ``origin`` says where it came from (``${VAR}``).

        ``read`` gives the value as it is now, or raises ValueError.
        """
        self._value = value
        self._read = read
        self.origin = origin

    @classmethod
    def env(cls, name: str) -> Secret:
        """The value of an environment variable; raises ValueError where it is not set."""
        return cls(read_variable(name), f"${{{name}}}")

    @classmethod
    def file(cls, path: str) -> Secret:
        """The text of a file without its last newline; raises ValueError if unreadable."""
        return cls.template(f"${{file:{path}}}")

    @classmethod
    def template(cls, text: str) -> Secret:
        """What ``${VAR}`` and ``${file:…}`` in a text stand for; raises ValueError as `resolve`.

        A file that other users may read is warned of.
        """
        files = [match["file"] for match in _VARIABLE.finditer(text) if match["file"]]
        value = resolve(text)
        for path in files:
            _warn_where_open(path)
        return cls(value, text, functools.partial(resolve, text) if files else None)

    def reveal(self) -> str:
        """The secret itself; one from a file as the file is now, so that it can be rotated.

        While the file cannot be read, the value before stays, and a warning says so.
        """
        if self._read is not None:
            try:
                self._value = self._read()
            except ValueError as error:
                _log.warning("%s; the value read before is used", error)
        return self._value

    def __repr__(self) -> str:
        """Three stars."""
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Equal when value and origin are."""
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._value, self.origin) == (other._value, other.origin)

    def __hash__(self) -> int:
        """By origin, never by value."""
        return hash(self.origin)


class Template(str):
    """A scalar that holds ``${…}`` and is resolved only when a field takes it."""

    __slots__ = ()


# A default ends at the first brace and holds no ${ itself: nothing is filled in twice.
_DEFAULT = r"(?:(?!\$\{)[^}])*"
_VARIABLE = re.compile(
    r"\$\$\{|\$\{(?:file:(?P<file>[^}]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    rf"(?::-(?P<default>{_DEFAULT}))?)\}}"
)
_BAD = re.compile(rf"\$\{{(?!file:[^}}]+\}}|[A-Za-z_][A-Za-z0-9_]*(?::-{_DEFAULT})?\}})")


def resolve(text: str) -> str:
    """Replace ``${VAR}``, ``${VAR:-default}`` and ``${file:/path}``; ``$${`` stands for ``${``.

    What is put in is never looked at again. Raises ValueError naming what is missing.
    """
    if _BAD.search(text.replace("$${", "")):
        raise ValueError("write ${NAME}, ${NAME:-default} or ${file:/path}; $${ stands for ${")

    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match["file"]:
            return read_file(match["file"])
        return read_variable(match["name"], match["default"])

    return _VARIABLE.sub(value, text)


def read_variable(name: str, default: str | None = None) -> str:
    """An environment variable, or ``default``; raises ValueError where neither is there."""
    value = os.environ.get(name, default)
    if value is None:
        raise ValueError(
            f"environment variable {name} is not set; write ${{{name}:-default}} for a default"
        )
    return value


def read_file(path: str) -> str:
    """A small text file without its last newline; raises ValueError if it cannot be read."""
    if ".." in Path(path).parts:
        raise ValueError(f"${{file:{path}}}: '..' is not allowed in the path")
    try:
        with Path(path).open("rb") as file:
            text = file.read(65_537)
        if len(text) > 65_536:
            raise ValueError(f"${{file:{path}}} is larger than 64 KiB")
        return text.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"cannot read ${{file:{path}}}: {reason}") from error


def _warn_where_open(path: str) -> None:
    mode = stat.S_IMODE(Path(path).stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        _log.warning(
            "${file:%s} is open to every user of this machine (mode %04o): chmod 600 it, or set "
            "defaultMode: 0400 where Kubernetes mounts it",
            path,
            mode,
        )
