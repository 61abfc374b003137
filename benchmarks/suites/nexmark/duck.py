"""Runs SQL files over ``events.ndjson`` in DuckDB; `answers` starts it where DuckDB is.

Arguments: the folder of the data, then SQL files. Writes ``NAME.sql.ndjson`` into the folder.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import duckdb

_COLUMNS = {
    "event": "VARCHAR",
    **dict.fromkeys(("id", "initial_bid", "reserve", "expires", "seller", "category"), "BIGINT"),
    **dict.fromkeys(("auction", "bidder", "price", "date_time"), "BIGINT"),
    **dict.fromkeys(("name", "email_address", "credit_card", "city", "state"), "VARCHAR"),
    **dict.fromkeys(("item_name", "description", "channel", "url", "extra"), "VARCHAR"),
}
_PERSON = "id, name, email_address, credit_card, city, state, date_time, extra, seq"
_AUCTION = (
    "id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra,"
    "seq"
)
_BID = "auction, bidder, price, channel, url, date_time, extra, seq"


def main(folder: Path, queries: list[Path]) -> None:
    """Answer all queries."""
    connection = duckdb.connect(config={"threads": 1})
    path = str(folder / "events.ndjson").replace("'", "''")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    read = f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"
    connection.execute(f"CREATE TABLE event AS SELECT *, row_number() OVER () AS seq FROM {read}")
    for name, fields in (("person", _PERSON), ("auction", _AUCTION), ("bid", _BID)):
        connection.execute(
            f"CREATE VIEW {name} AS SELECT {fields} FROM event WHERE event = '{name}'"
        )
    connection.execute("CREATE MACRO moment(ms) AS make_timestamp(ms * 1000)")
    for query in queries:
        found = connection.execute(query.read_text(encoding="utf-8"))
        names = [column[0] for column in found.description]
        with (folder / f"{query.name}.ndjson").open("w", encoding="utf-8") as file:
            for row in found.fetchall():
                values = dict(zip(names, row, strict=True))
                file.write(json.dumps(values, default=_iso, ensure_ascii=False) + "\n")


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    raise TypeError(f"{value!r} is no value of an answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
