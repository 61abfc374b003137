"""W1 to W4, JSON bytes in memory to windows, and how the cost grows with keys and overlap."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import Work
from benchmarks.cases.case import Asked, Case, Part
from benchmarks.data import Data, make
from benchmarks.memory import PEERS, SLOW, Bench
from benchmarks.runs import Run

_SHOWN = ("M events/s", "+MiB", "windows", "wrong")
#: engines whose state of a window is what this project's is: the cost of more of it can be compared
_GROWING = ("python",)
#: in a tenth of the data it does not get warm
_WARM = ("pyflink",)
_KEYS = (1_000, 10_000, 100_000, 1_000_000)
_HOPS = (1, 2, 6, 12, 30, 60)


@dataclass(frozen=True, slots=True)
class Load:
    """Data and the windows over it; all of it comes up to two seconds late."""

    work: Work
    count: int
    devices: int
    per_second: int
    pauses: bool = False

    def data(self, asked: Asked) -> Data:
        """The readings."""
        return make(
            asked.scaled(self.count),
            self.devices,
            self.per_second,
            jitter=self.work.delay,
            pauses=self.pauses,
        )


TUMBLING = Work("tumbling", 10_000, 10_000)
LOADS: Mapping[str, tuple[str, Load]] = {
    "w1": ("tumbling 10 s, 1,000 devices", Load(TUMBLING, 1_000_000, 1_000, 50_000)),
    "w2": (
        "hopping 60 s every 5 s, 1,000 devices",
        Load(Work("hopping", 60_000, 5_000), 1_000_000, 1_000, 10_000),
    ),
    "w3": (
        "sessions with gaps of 5 s, 1,000 devices",
        Load(Work("session", 5_000, 5_000), 1_000_000, 1_000, 10_000, pauses=True),
    ),
    "w4": ("tumbling 10 s, 100,000 devices", Load(TUMBLING, 1_000_000, 100_000, 50_000)),
}


@contextmanager
def _bench(load: Load, asked: Asked, variant: str) -> Iterator[Callable[[str], Run]]:
    with tempfile.TemporaryDirectory(prefix="edgestream-bench-") as folder:
        yield Bench(Path(folder), load.data(asked), load.work, variant).run


def _part(load: Load, asked: Asked, peers: Sequence[str], variant: str = "") -> Part:
    opened = functools.partial(_bench, load, asked, variant)
    return Part(variant, peers, asked.repetitions, opened, seldom=SLOW)


def _only(load: Load, asked: Asked) -> Iterable[Part]:
    return [_part(load, asked, asked.choose(PEERS, _WARM))]


def _growth(loads: Mapping[str, Load], asked: Asked) -> Iterable[Part]:
    peers = asked.choose(_GROWING)
    return [_part(load, asked, peers, variant) for variant, load in loads.items()]


def _by_keys() -> Mapping[str, Load]:
    return {f"{keys:,} keys": Load(TUMBLING, 2_000_000, keys, 100_000) for keys in _KEYS}


def _by_hops() -> Mapping[str, Load]:
    works = {hops: Work("hopping", 60_000, 60_000 // hops) for hops in _HOPS}
    return {
        f"window/hop {hops}": Load(work, 1_000_000, 1_000, 10_000) for hops, work in works.items()
    }


def _case(
    name: str, title: str, able: tuple[str, ...], parts: Callable[[Asked], Iterable[Part]]
) -> Case:
    return Case(name, f"{title}; in memory", "ns/event", _SHOWN, able, parts, seconds=4)


CASES = [
    *(
        _case(name, title, PEERS, functools.partial(_only, load))
        for name, (title, load) in LOADS.items()
    ),
    _case(
        "growth-keys",
        "tumbling 10 s with more and more devices",
        _GROWING,
        lambda asked: _growth(_by_keys(), asked),
    ),
    _case(
        "growth-hops",
        "windows of 60 s with more and more overlap, 1,000 devices",
        _GROWING,
        lambda asked: _growth(_by_hops(), asked),
    ),
]
