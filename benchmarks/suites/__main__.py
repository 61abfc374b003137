"""``python -m benchmarks.suites [SUITE…]``: run the queries, check the answers, print a table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import page, results
from benchmarks.results import Machine, Unreadable
from benchmarks.suites import golden
from benchmarks.suites.case import Missing, Rows, Suite
from benchmarks.suites.compare import differences
from benchmarks.suites.nexmark.suite import NEXMARK
from benchmarks.suites.play import play
from benchmarks.suites.results import Result, merge
from benchmarks.suites.riotbench.suite import RIOTBENCH
from benchmarks.suites.theodolite.suite import THEODOLITE

SUITES = {suite.name: suite for suite in (THEODOLITE, RIOTBENCH, NEXMARK)}
_SHOWN = 3
_LINE = "{:8} {:38} {:>10} {:>10} {:>10}  {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 1 if an answer is different."""
    given = _parser().parse_args(arguments)
    found: list[Result] = []
    for name in given.suites or SUITES:
        suite = SUITES[name]
        print(f"\n{name}\n" + _LINE.format("query", "", "rows in", "rows out", "ns/event", ""))
        made = list(_run(suite, given.rows or suite.large, given.queries, given.keep))
        found += made
        if given.save:
            print(f"written to {_save(made)}, and the table to the page beside it")
    return int(any(result.verdict == "DIFFERENT" for result in found))


def _run(suite: Suite, count: int, chosen: Sequence[str], keep: Path | None) -> Iterator[Result]:
    queries = [query for query in suite.queries if not chosen or query.name in chosen]
    with tempfile.TemporaryDirectory(prefix="edgestream-suite-") as place:
        folder = Path(place)
        machine = Machine.now(os.getloadavg()[0])
        suite.generate(count, folder)
        expected: dict[str, Rows] = {}
        why = ""
        try:
            expected.update(suite.answers([query.name for query in queries], folder))
        except Missing as missing:
            why = str(missing)
        for query in queries:
            played = play(suite, query, folder)
            wrong: list[str] = []
            if query.name in expected:
                if keep is not None:
                    golden.write(keep / f"{query.name}.json", query, expected[query.name])
                wrong = differences(query, expected[query.name], played.rows)
            verdict = f"not checked: {why}" if why else "DIFFERENT" if wrong else "ok"
            cost = played.cpu / count
            made = (query.title, count, len(played.rows), round(cost, 1), suite.by, verdict)
            result = Result(suite.name, query.name, *made, machine)
            shown = (f"{count:,}", f"{len(played.rows):,}", f"{cost:,.0f}")
            print(_LINE.format(query.name, query.title, *shown, verdict), flush=True)
            for line in wrong[:_SHOWN]:
                print(f"         {line}")
            yield result


def _save(found: Sequence[Result]) -> Path:
    path = results.FOLDER / f"suites-{results.today()}.json"
    names = [(suite.name, query.name) for suite in SUITES.values() for query in suite.queries]
    try:
        merge(path, found, names)
        page.write(results.FOLDER)
    except Unreadable as why:
        raise SystemExit(str(why)) from why
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suites", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], metavar="SUITE")
    parser.add_argument("--rows", type=int, metavar="N", help="how many rows; each has a default")
    parser.add_argument("--queries", nargs="+", default=[], metavar="QUERY", help="only these")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the right answers there")
    parser.add_argument(
        "--save", action="store_true", help="put them into results/suites-DATE.json"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
