"""Right answers kept in a file, so that they can be compared where what made them is not there."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.suites.case import Query, Rows


def write(path: Path, query: Query, rows: Rows) -> None:
    """The compared columns of all rows, a row a line, in an order that stays."""
    names = [*query.exact, *query.close]
    lines = [json.dumps([row[name] for name in names], ensure_ascii=False) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join([json.dumps(names), *sorted(lines)])
    path.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def read(path: Path) -> Rows:
    """What `write` wrote."""
    names, *rows = json.loads(path.read_text(encoding="utf-8"))
    return [dict(zip(names, row, strict=True)) for row in rows]
