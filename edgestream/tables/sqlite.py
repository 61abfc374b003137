"""The table `SqliteTable`: a table or query in an SQLite file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Self

from edgestream.component import component
from edgestream.config.fields import option
from edgestream.errors import ConfigError, Problem, Retry
from edgestream.tables.table import Cells, Table


@component(
    "sqlite",
    examples=(
        "table: {sqlite: {path: plant.db, table: sensors}}",
        "table: {sqlite: {path: plant.db, query: 'SELECT id AS device, room FROM s'}}",
    ),
)
class SqliteTable(Table):
    """A table, or the rows of a query, in an SQLite file.

    The file is opened for reading only; a relative path is that from the folder of the pipeline
    file.
    """

    path: str = option(help="The file.")
    table: str = option(default="", help="The table to read.")
    query: str = option(default="", help="A query to read instead.", example="SELECT * FROM a")

    def check(self) -> None:
        """Either a table or a query."""
        if bool(self.table) == bool(self.query):
            raise ConfigError(Problem("give either a table or a query", ("table",)))

    def beside(self, folder: str) -> Self:
        """The file lies beside the pipeline file."""
        return replace(self, path=str(Path(folder, self.path)))

    def place(self) -> str:
        """The file."""
        return self.path

    def read(self, columns: Collection[str]) -> Cells:
        """The rows of the table or query."""
        import sqlite3  # noqa: PLC0415 - only where a table is in SQLite

        name = self.table.replace('"', '""')
        query = self.query or f'SELECT * FROM "{name}"'  # noqa: S608 - the name is quoted
        try:
            uri = f"{Path(self.path).absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=1.0)
            try:
                cursor = connection.execute(query)
                names = [str(column[0]) for column in cursor.description or ()]
                rows = cursor.fetchmany(self.most_rows + 1)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise Retry(f"cannot read {self.path}: {error}") from error
        return self.by_column(names, rows)
