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
        # 0 stands for a free place, so 0 and 1 are the same first half
        same = [(max(one, 1), two) for one, two in keys]
        assert seen.has(*halves(keys)).tolist() == [key in known for key in same]
        seen.fit(len(keys), lambda values: np.ones(len(values[0]), np.bool_))
        at = seen.positions(*halves(keys))
        assert seen.first(at).tolist() == [key not in same[:row] for row, key in enumerate(same)]
        for key, value in zip(same, seen.values[0][at].tolist(), strict=True):
            assert value == known.get(key, -1)
        fresh = [known.setdefault(key, len(known)) for key in same]
        seen.values[0][at] = fresh
        assert seen.values[0][at].tolist() == fresh
        assert seen.count == len(known)
        assert seen.has(*halves(keys)).all()
