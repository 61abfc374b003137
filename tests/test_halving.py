"""The search for the bad rows of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from edgestream.halving import Halving


def searched(
    rows: int, bad: set[int], most: int | None = None
) -> tuple[dict[int, str], list[int], int]:
    """The reasons found, the rows taken in order, and how often rows were tried.

    More than ``most`` rows at once are refused as well.
    """

    def refuse(part: list[int]) -> str:
        return "bad" if bad & set(part) or (most is not None and len(part) > most) else ""

    search, taken, tries = Halving(rows, refuse(list(range(rows))) or "bad"), [], 0
    while (found := search.next()) is not None:
        part = list(range(rows))[found]
        why = refuse(part)
        taken += [] if why else part
        tries += 1
        search.tell(why)
    return search.reasons, taken, tries


@given(
    st.integers(1, 300).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))
    )
)
def test_the_bad_rows_are_found_and_the_others_taken_once_in_order(case):
    rows, bad = case
    reasons, taken, tries = searched(rows, bad)
    assert set(reasons) == bad
    assert taken == [row for row in range(rows) if row not in bad]
    assert tries <= 2 * len(bad) * max(1, (rows - 1).bit_length())


@given(st.integers(1, 200), st.integers(1, 50))
def test_no_row_is_blamed_for_what_only_many_together_cause(rows, most):
    reasons, taken, _ = searched(rows, set(), most)
    assert (reasons, taken) == ({}, list(range(rows))) if rows > 1 else reasons


def test_one_bad_row_among_a_thousand_costs_about_ten_tries():
    assert max(searched(1000, {row})[2] for row in range(1000)) <= 20
