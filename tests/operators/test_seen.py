import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.operators.seen import Seen

# few beginnings, so that most keys want a place that is taken
KEYS = st.tuples(st.sampled_from([0, 1, 2**63, 2**64 - 1]), st.integers(0, 60))


def halves(keys):
    return tuple(np.array([key[at] for key in keys], np.uint64) for at in (0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(KEYS, min_size=1, max_size=150), max_size=8))
def test_a_key_has_one_position_and_no_other_key_has_it(batches):
    seen, known = Seen(1, -1), {}
    for keys in batches:
        assert seen.has(*halves(keys)).tolist() == [key in known for key in keys]
        seen.fit(len(keys), lambda values: np.ones(len(values[0]), np.bool_))
        given = np.arange(len(known), len(known) + len(keys))
        at, older = seen.positions(*halves(keys), [given])
        firsts = [row for row, key in enumerate(keys) if key not in keys[:row]]
        assert seen.first(at).nonzero()[0].tolist() == firsts
        new = [row for row in firsts if keys[row] not in known]
        assert sorted([*new, *older.tolist()]) == list(range(len(keys)))
        known |= {keys[row]: given[row] for row in new}
        assert seen.values[0][at].tolist() == [known[key] for key in keys]
        assert seen.count == len(known)
        assert seen.has(*halves(keys)).all()
        half = len(keys) // 2
        assert seen.among(at, at[:half]).tolist() == [key in keys[:half] for key in keys]
    one, two, (values,) = seen.content(lambda values: values[0] % 2 == 0)
    kept = dict(zip(zip(one.tolist(), two.tolist(), strict=True), values.tolist(), strict=True))
    assert kept == {key: value for key, value in known.items() if value % 2 == 0}


def test_rows_whose_key_is_not_new_leave_nothing_behind():
    seen = Seen(1, -1)
    for at in range(5):  # more rows than there is room for at first
        keys = [(at * 10 + row % 10, row % 10) for row in range(200)]
        seen.fit(len(keys), lambda values: np.ones(len(values[0]), np.bool_))
        seen.positions(*halves(keys), [7])
        one, _, (values,) = seen.content(lambda values: np.ones(len(values[0]), np.bool_))
        assert sorted(one.tolist()) == list(range(10 * (at + 1)))
        assert seen.count == len(one)
        assert set(values.tolist()) == {7}
