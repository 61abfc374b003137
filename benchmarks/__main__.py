"""``python -m benchmarks [CASE…]``: ours and its peers on the same bytes, side by side."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import page, report, results
from benchmarks.cases import CASES, QUICK, Asked, Case, Part
from benchmarks.progress import Progress, Step
from benchmarks.results import Machine, Measured
from benchmarks.runs import Run, paired


def main(arguments: Sequence[str] | None = None) -> None:
    """Run cases and print a table each; with --save they are put into the results of the day."""
    given = _parser().parse_args(arguments)
    _refuse(given)
    if given.list:
        _list()
        return
    peers = None if given.peers is None else [name for name in given.peers.split(",") if name]
    asked = Asked(peers, given.quick, given.repetitions or (1 if given.quick else 2))
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is busy (load {load:.1f}): ratios are good, figures are not\n")
    if given.quick:
        print("quick: a tenth of the data that the titles name\n")
    path = results.FOLDER / f"{results.today()}.json"
    there = _load(path)
    names = given.cases or list(QUICK if given.quick else CASES)
    plan = {
        name: list(CASES[name].parts(asked)) for name in names if not (given.rest and name in there)
    }
    progress = _progress(plan, {} if given.quick else _earlier())
    print(f"about {progress.left() / 60:.0f} minutes\n", flush=True)
    for name, parts in plan.items():
        machine = Machine.now(os.getloadavg()[0])
        measured = _measure(CASES[name], parts, machine, progress)
        print(report.text(name, measured) + "\n", flush=True)
        if given.save:
            results.merge(path, name, measured, list(CASES))
            page.write(results.FOLDER)
    if given.save:
        print(f"written to {path}, with the chart and the tables beside it")


def _list() -> None:
    before = _earlier()
    for name, case in CASES.items():
        minutes = _progress({name: list(case.parts(Asked()))}, before).left() / 60
        print(f"{name:14} {case.title}\n{'':14} about {minutes:.0f} minutes", end="")
        print(f" with {', '.join(case.able)}" if case.able else "")


def _measure(case: Case, parts: Sequence[Part], machine: Machine, progress: Progress) -> Measured:
    runs = tuple(run for part in parts for run in _runs(case, part, progress))
    return Measured(case.title, case.metric, tuple(case.shown), machine, runs)


def _runs(case: Case, part: Part, progress: Progress) -> Iterator[Run]:
    with part.opened() as run:

        def timed(engine: str) -> Run:
            progress.start(case.name, part.variant, engine)
            started = time.monotonic()
            got = replace(run(engine), seconds=round(time.monotonic() - started, 1))
            progress.done(case.name, got)
            return got

        yield from paired(part.order(), timed)


def _progress(plan: dict[str, list[Part]], before: dict[str, Measured]) -> Progress:
    steps = [
        Step(name, part.variant, engine, CASES[name].seconds)
        for name, parts in plan.items()
        for part in parts
        for engine in part.order()
    ]
    return Progress(steps, before, lambda line: print(line, file=sys.stderr, flush=True))


def _earlier() -> dict[str, Measured]:
    """The newest results there are: they say how long a run takes."""
    path = results.newest(results.FOLDER, results.DAYS)
    return {} if path is None else _load(path)


def _load(path: Path) -> dict[str, Measured]:
    try:
        return results.load(path)
    except results.Unreadable as why:
        raise SystemExit(str(why)) from why


def _refuse(given: argparse.Namespace) -> None:
    unknown = [name for name in given.cases if name not in CASES]
    if unknown:
        raise SystemExit(f"there is no case {unknown[0]!r}; --list names them")
    able = {name for case in CASES.values() for name in case.able}
    strange = sorted({name for name in (given.peers or "").split(",") if name} - able)
    if strange:
        raise SystemExit(f"there is no peer {strange[0]!r}; there are {', '.join(sorted(able))}")
    if given.save and (given.quick or given.peers is not None):
        raise SystemExit("--save keeps whole cases: it goes with neither --quick nor --peers")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="which; all where none is named")
    parser.add_argument("--list", action="store_true", help="name the cases and their peers")
    parser.add_argument("--peers", metavar="A,B", help="only these; '' is none")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the data, once, fewer peers"
    )
    parser.add_argument("--repetitions", type=int, metavar="N", help="default: 2, or 1 if quick")
    parser.add_argument("--save", action="store_true", help="put them into results/DATE.json")
    parser.add_argument(
        "--rest", action="store_true", help="only what is not in the results of this day yet"
    )
    return parser


if __name__ == "__main__":
    main()
