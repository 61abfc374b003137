"""What the suites gave on a day, in one file: queries that are run again replace those there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.results import Machine, Unreadable, replace

DAYS = "suites-*.json"


@dataclass(frozen=True, slots=True)
class Result:
    """One query once; ``by`` is what recomputed its answer."""

    suite: str
    query: str
    title: str
    rows_in: int
    rows_out: int
    ns_per_event: float
    by: str
    verdict: str
    machine: Machine


def load(path: Path) -> list[Result]:
    """The results of a file; none where it is not there yet."""
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["results"]
        return [Result(**{**one, "machine": Machine(**one["machine"])}) for one in found]
    except (ValueError, KeyError, TypeError) as why:
        raise Unreadable(f"{path} holds no results ({why!r}); move it away, or mend it") from why


def merge(path: Path, results: Sequence[Result], names: Sequence[tuple[str, str]]) -> None:
    """Put results into the file, in place of the same queries; ``names`` is their order."""
    found = {(one.suite, one.query): one for one in (*load(path), *results)}
    ordered = sorted(found, key=lambda name: names.index(name) if name in names else len(names))
    whole = {"results": [asdict(found[name]) for name in ordered]}
    replace(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
