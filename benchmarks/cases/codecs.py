"""What decoding costs: payloads in memory to columns, each codec beside the barest way to them."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cases.case import Asked, Case
from benchmarks.data import make
from benchmarks.pinned import pinned
from benchmarks.runs import OURS, Run, paired

BARE = "bare"
_ROWS = 100_000


def _run(asked: Asked) -> Iterator[Run]:
    from benchmarks.formats import FORMATS, measure  # noqa: PLC0415 - only this case needs pyarrow

    data = make(asked.scaled(_ROWS), 1_000, 50_000)

    def one(engine: str) -> Run:
        with pinned(1):
            return Run(engine, name, measure(FORMATS[name], data, bare=engine == BARE))

    json = 0.0
    for _ in range(asked.repetitions):  # all of them in turn, so that a slow moment hits all
        for name in FORMATS:
            for run in paired(asked.choose((BARE,)), 1, one):
                ns = run.figures["ns/row"]
                json = ns if (name, run.engine) == ("json", OURS) else json
                yield Run(run.engine, name, {**run.figures, "× json": ns / json})


CASES = [
    Case(
        "codecs",
        "payloads in memory to three columns of five, 1,000 devices, blocks of 1,000 rows",
        "ns/row",
        ("× json", "bytes/row", "wrong"),
        (BARE,),
        _run,
    )
]
