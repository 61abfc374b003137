"""The contract of tables outside the stream that steps look rows up in.

A table is read as a whole, at its configuration's word and never with anything that data says. What
cannot be read now, or holds what no column can, raises `Retry` with the reason in words.
"""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias, cast

from edgestream.component import Component
from edgestream.errors import ConfigError, Problem, Retry, did_you_mean
from edgestream.registry import installed

Cell: TypeAlias = str | int | float | bool | dt.datetime | None
Cells: TypeAlias = Mapping[str, Sequence[Cell]]
"""A table by columns, all of one length."""

_CELLS = frozenset({str, int, float, bool, dt.datetime, type(None)})


class Table(Component):
    """Where a table is, and how it is read."""

    most_rows: ClassVar[int] = 1_000_000

    @classmethod
    def from_config(cls, value: Any) -> Table:
        """A table as it is written: a path, or a mapping that names the kind of table."""
        from edgestream.read import make  # noqa: PLC0415 - what is built in Python reads no YAML

        registry = installed()
        known = f"known: {', '.join(registry.names('table'))}"
        given = {"file": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or len(given) != 1:
            raise ConfigError(Problem("expected a path or one kind of table", hint=known))
        ((name, fields),) = given.items()
        try:
            found = registry.load("table", str(name))
        except ConfigError as error:
            raise ConfigError([problem.under(str(name)) for problem in error.problems]) from error
        try:
            return cast("Table", make(found, fields))
        except ConfigError as error:
            where = () if given is not value else (str(name),)
            raise ConfigError([problem.under(*where) for problem in error.problems]) from error

    def beside(self, folder: str) -> Self:
        """Itself as read from a pipeline file in ``folder``, where files that belong to it lie."""
        return self

    @abstractmethod
    def place(self) -> str:
        """What it is called in messages: a path, a host and a table; never a secret."""

    def stamp(self) -> object | None:
        """What is another when the table is; None where that cannot be told without reading."""
        return None

    @abstractmethod
    def read(self, columns: Collection[str]) -> Cells:
        """Its rows by columns: at least ``columns``, which must be there; none is all.

        It may wait, but not for ever; raises `Retry` where the table cannot be read.
        """

    def require(self, columns: Iterable[str], there: Collection[str]) -> None:
        """Raise `Retry` for a column that is not there."""
        for name in columns:
            if name not in there:
                hint = did_you_mean(name, there)
                raise Retry(f"{self.place()} has no column {name!r}" + (hint and f"; {hint}"))

    def by_column(
        self,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        plain: Callable[[Any], Any] | None = None,
    ) -> Cells:
        """Rows by columns; raises `Retry` where they are too many, or hold what no column can.

        ``plain`` makes cells of the values of a column that holds more than cells.
        """
        if not names or "" in names or len(set(names)) < len(names):
            raise Retry(f"cannot read {self.place()}: its columns need names, all different")
        if len(rows) > self.most_rows:
            message = f"it has more than {self.most_rows:,} rows"
            raise Retry(f"cannot read {self.place()}: {message}")
        lists = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
        cells: dict[str, Sequence[Cell]] = {}
        for name, column in zip(names, lists, strict=True):
            fits = _CELLS.issuperset(map(type, column))
            cells[name] = column if fits or plain is None else list(map(plain, column))
            if not fits and not _CELLS.issuperset(map(type, cells[name])):
                message = f"the column {name!r} holds more than text, numbers and times"
                raise Retry(f"cannot read {self.place()}: {message}")
        return cells
