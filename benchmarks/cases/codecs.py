"""What decoding costs: payloads in memory to columns, each codec beside the barest way to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from benchmarks.cases.case import Asked, Case, Part
from benchmarks.data import make
from benchmarks.pinned import pinned
from benchmarks.runs import OURS, Run

BARE = "bare"
#: the names of `benchmarks.formats.FORMATS`, which wants pyarrow; the first is what all compare to
NAMES = (
    "json",
    "struct",
    "struct, text",
    "struct, frames",
    "msgpack",
    "cbor",
    "columnar",
    "arrow",
    "arrow, new words",
    "arrow, text",
    "senml",
)
_ROWS = 100_000


class Codecs:
    """One codec after the other, over the same data."""

    def __init__(self, asked: Asked) -> None:
        """Nothing is made yet."""
        self._asked = asked
        self._json = 0.0

    @contextmanager
    def opened(self, name: str) -> Iterator[Callable[[str], Run]]:
        """What runs one codec, or its bare way."""
        from benchmarks.formats import FORMATS, measure  # noqa: PLC0415 - only this needs pyarrow

        data = make(self._asked.scaled(_ROWS), 1_000, 50_000)

        def one(engine: str) -> Run:
            with pinned(1):
                figures = measure(FORMATS[name], data, bare=engine == BARE)
            ns = figures["ns/row"]
            if (name, engine) == (NAMES[0], OURS):
                self._json = ns
            return Run(engine, name, {**figures, "× json": ns / self._json})

        yield one


def _parts(asked: Asked) -> Iterable[Part]:
    codecs = Codecs(asked)
    peers = asked.choose((BARE,))

    def part(name: str) -> Part:
        return Part(name, peers, 1, lambda: codecs.opened(name))

    # all of them in turn, so that a slow moment hits all
    return [part(name) for _ in range(asked.repetitions) for name in NAMES]


CASES = [
    Case(
        "codecs",
        "payloads in memory to three columns of five, 1,000 devices, blocks of 1,000 rows",
        "ns/row",
        ("× json", "bytes/row", "wrong"),
        (BARE,),
        _parts,
        seconds=1,
    )
]
