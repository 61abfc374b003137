"""``python -m benchmarks [CASE…]``: ours and its peers on the same bytes, side by side."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks import chart, report
from benchmarks.cases import CASES, QUICK, Asked
from benchmarks.runs import Run

RESULTS = Path(__file__).with_name("results")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run cases and print a table each; with --save also write JSON and a chart."""
    given = _parser().parse_args(arguments)
    unknown = [name for name in given.cases if name not in CASES]
    if unknown:
        raise SystemExit(f"there is no case {unknown[0]!r}; --list names them")
    if given.list:
        for case in CASES.values():
            print(f"{case.name:14} {case.title}\n{'':14} peers: {', '.join(case.able)}")
        return
    peers = None if given.peers is None else [name for name in given.peers.split(",") if name]
    able = {name for case in CASES.values() for name in case.able}
    strange = sorted(set(peers or ()) - able)
    if strange:
        raise SystemExit(f"there is no peer {strange[0]!r}; there are {', '.join(sorted(able))}")
    asked = Asked(peers, given.quick, given.repetitions or (1 if given.quick else 3))
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is busy (load {load:.1f}): ratios are good, figures are not\n")
    if given.quick:
        print("quick: a tenth of the data that the titles name\n")
    results: dict[str, list[Run]] = {}
    for name in given.cases or (QUICK if given.quick else CASES):
        results[name] = list(CASES[name].run(asked))
        print(report.table(CASES[name], results[name]) + "\n", flush=True)
    if given.save:
        path = report.save(RESULTS, CASES, results, load)
        path.with_suffix(".svg").write_text(chart.svg(CASES, results))
        print(f"written to {path} and {path.with_suffix('.svg').name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="which; all where none is named")
    parser.add_argument("--list", action="store_true", help="name the cases and their peers")
    parser.add_argument("--peers", metavar="A,B", help="only these; '' is none")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, once, no Go")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default: 3, or 1 if quick")
    parser.add_argument("--save", action="store_true", help="write results/DATE.json and .svg")
    return parser


if __name__ == "__main__":
    main()
