"""The operator that Nexmark's q19 brings along keeps what every operator must."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.suites.nexmark.best import Best
from edgestream.batch import Batch
from edgestream.testing.operators import Event, check_operator, run_operator

SECOND = 1_000_000_000


def bids(*pairs: tuple[float, float], at: int = 0) -> Batch:
    columns = {
        "auction": np.array([auction for auction, _ in pairs], float),
        "price": np.array([price for _, price in pairs], float),
    }
    return Batch(columns, np.full(len(pairs), at * SECOND, np.int64))


def ranks(operator: Best, *events: Event) -> list[tuple[float, int, float]]:
    rows = run_operator(operator, events).get("", [])
    return [(row["auction"], row["rank"], row["price"]) for row in rows]


def test_only_ranks_that_changed_leave() -> None:
    operator = Best("auction", "price", 2)
    assert ranks(operator, bids((1, 5), (1, 9), (2, 3)), SECOND) == [
        (1, 1, 9),
        (1, 2, 5),
        (2, 1, 3),
    ]
    assert ranks(operator, bids((1, 7), (1, 1)), 2 * SECOND) == [(1, 2, 7)]
    assert ranks(operator, bids((1, 9)), 3 * SECOND) == [(1, 2, 9)]
    assert ranks(operator, bids((1, 2)), 4 * SECOND) == []
    assert ranks(operator, bids((1, np.nan), (np.nan, 99)), 5 * SECOND) == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), min_size=1, max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_it_keeps_the_rules_and_ends_with_the_best(
    groups: list[list[tuple[int, int]]],
) -> None:
    events: list[Event] = []
    for second, group in enumerate(groups):
        events += [bids(*group, at=second), (second + 1) * SECOND]
    rows = check_operator(Best("auction", "price", 3), events).get("", [])
    found = {(row["auction"], row["rank"]): row["price"] for row in rows}
    every = [pair for group in groups for pair in group]
    for auction in {auction for auction, _ in every}:
        best = sorted((price for other, price in every if other == auction), reverse=True)[:3]
        assert [found[auction, rank + 1] for rank in range(len(best))] == best
