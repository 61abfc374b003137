"""The queries of Nexmark that are here, and the columns of their answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.suites.case import Query, Rows, Suite, last
from benchmarks.suites.nexmark.answers import answers
from benchmarks.suites.nexmark.data import write


def _per_bidder(rows: Rows) -> Rows:
    """All windows of a bidder together: in which a bid falls depends on how fast we are."""
    counts: Counter[object] = Counter()
    for row in rows:
        counts[row["bidder"]] += row["bids"]
    return [{"bidder": bidder, "bids": bids} for bidder, bids in counts.items()]


_BID = ("auction", "bidder", "price", "date_time", "extra")
_RANKS = ("", "rank1_", "rank2_", "rank3_")
_STATISTICS = tuple(f"{rank}{what}" for what in ("bids", "bidders", "auctions") for rank in _RANKS)
NEXMARK = Suite(
    "nexmark",
    Path(__file__).parent,
    600,
    200_000,
    write,
    answers,
    (
        Query("q0", "pass through", _BID),
        Query("q1", "currency conversion", ("auction", "bidder", "date_time", "extra"), ("price",)),
        Query("q2", "selection", ("auction", "price")),
        Query("q3", "local items", ("name", "city", "state", "id")),
        Query("q4", "average prices of categories", ("category",), ("average",)),
        Query("q5", "hot items", ("window_start", "window_end", "auction", "bids")),
        Query("q7", "highest bids", ("window_start", "auction", "bidder", "price", "date_time")),
        Query("q8", "new users", ("id", "name", "window_start")),
        Query(
            "q9",
            "winning bids",
            ("auction", "price", "bidder", "seller", "category"),
            fold=last("auction"),
        ),
        Query("q11", "sessions of bidders", ("bidder", "window_start", "window_end", "bids")),
        Query("q12", "windows of processing time", ("bidder", "bids"), fold=_per_bidder),
        Query("q13", "side input", ("auction", "bidder", "price", "channel", "owner", "date_time")),
        Query(
            "q14",
            "calculation",
            ("auction", "bidder", "part", "date_time", "extra", "letters"),
            ("price",),
        ),
        Query("q15", "statistics of days", ("window_start", *_STATISTICS)),
        Query("q16", "statistics of channels", ("channel", "window_start", "last", *_STATISTICS)),
        Query(
            "q17",
            "statistics of auctions",
            ("auction", "window_start", "bids", "low_bids", "middle_bids", "high_bids"),
            ("lowest", "highest", "average", "total"),
        ),
        Query(
            "q18",
            "last bids",
            ("bidder", "auction", "price", "channel", "date_time"),
            fold=last("bidder", "auction"),
        ),
        Query(
            "q19", "the ten best bids", ("auction", "rank", "price"), fold=last("auction", "rank")
        ),
        Query(
            "q20",
            "expanded bids",
            ("auction", "bidder", "price", "date_time", "item_name", "initial_bid", "seller"),
        ),
        Query(
            "q22",
            "directories",
            ("auction", "bidder", "price", "channel", "dir1", "dir2", "dir3"),
        ),
    ),
    "DuckDB",
)
