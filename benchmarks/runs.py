"""What one run gave, and the order of runs: ours between every two of the others.

The speed of a machine drifts within minutes by more than many a difference is worth. So each run of
a peer is compared with the runs of ours just before and just after it, and never with older ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

OURS = "edgestream"


@dataclass(frozen=True, slots=True)
class Run:
    """One engine once: its figures by name, or why there are none; ``seconds`` is all it took."""

    engine: str
    variant: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    failed: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """An engine's runs of one variant: medians, and the ratio of the first figure to ours."""

    engine: str
    variant: str
    figures: Mapping[str, float]
    ratio: float | None
    runs: int
    note: str
    failed: str


def order(peers: Sequence[str], repetitions: int, seldom: Sequence[str] = ()) -> list[str]:
    """Ours, a peer, ours, the next peer, …, ours; all of it so many times.

    Those that run ``seldom`` are left out of the second half of the repetitions.
    """
    if not peers:
        return [OURS] * repetitions
    often = [peer for peer in peers if peer not in seldom]
    half = (repetitions + 1) // 2
    turns = [peer for turn in range(repetitions) for peer in (peers if turn < half else often)]
    return [*(name for peer in turns for name in (OURS, peer)), OURS]


def paired(names: Sequence[str], run: Callable[[str], Run]) -> Iterator[Run]:
    """Run them in that order; after a peer that failed ours need not run again, but at the end."""
    failed = False
    for place, name in enumerate(names):
        if failed and name == OURS and place + 1 < len(names):
            failed = False
            continue
        got = run(name)
        failed = bool(got.failed)
        yield got


def summaries(runs: Sequence[Run], metric: str) -> list[Summary]:
    """One for each variant and engine, in the order in which they first ran."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, run in enumerate(runs):
        groups.setdefault((run.variant, run.engine), []).append(place)
    return [_summary(runs, places, metric) for places in groups.values()]


def _summary(runs: Sequence[Run], places: Sequence[int], metric: str) -> Summary:
    first = runs[places[0]]
    good = [place for place in places if not runs[place].failed]
    failed = next((runs[place].failed for place in places if runs[place].failed), "")
    names = dict.fromkeys(name for place in good for name in runs[place].figures)
    figures = {
        name: statistics.median([runs[place].figures[name] for place in good]) for name in names
    }
    found = [_ratio(runs, place, metric) for place in good]
    ratios = [ratio for ratio in found if ratio is not None]
    ratio = statistics.median(ratios) if ratios else None
    return Summary(first.engine, first.variant, figures, ratio, len(good), first.note, failed)


def _ratio(runs: Sequence[Run], place: int, metric: str) -> float | None:
    """How many times the figure of the runs of ours around it."""
    run = runs[place]
    around = [
        *_ours(runs, range(place - 1, -1, -1), run),
        *_ours(runs, range(place + 1, len(runs)), run),
    ]
    if run.engine == OURS or metric not in run.figures or not around:
        return None
    mean = statistics.mean(near.figures[metric] for near in around)
    return run.figures[metric] / mean if mean else None


def _ours(runs: Sequence[Run], places: range, run: Run) -> list[Run]:
    """The nearest run of ours on one side."""
    for place in places:
        near = runs[place]
        if near.engine == OURS and near.variant == run.variant and not near.failed:
            return [near]
    return []
