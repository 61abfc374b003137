"""Streams of readings for tests of operators with state per key, and the slow way through them."""

from hypothesis import settings
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.testing.operators import TIME, check_operator

S = 1_000_000_000
ANY = settings(deadline=None, max_examples=20)
FEW = settings(deadline=None, max_examples=8)
DEVICES = st.sampled_from(["a", "b", "c", None])
NUMBERS = st.none() | st.integers(-40, 40).map(lambda n: n / 4)
TEXTS = st.none() | st.sampled_from(["on", "off", "idle"])
WHOLE = st.none() | st.integers(-3, 3)
TRUTHS = st.booleans()


@st.composite
def streams(draw, values=NUMBERS, devices=DEVICES, most=8, sorted_times=False):
    """Events: batches of rows with ``device``, ``x`` and ``n``, and watermarks, which grow."""
    events, mark, now, number = [], -10, 0, 0
    for size in draw(st.lists(st.integers(0, 4), max_size=most)):
        if not size:
            mark += draw(st.integers(1, 20))
            events.append(mark * S)
            continue
        rows, times = [], []
        for _ in range(size):
            step = draw(st.integers(0, 5) if sorted_times else st.integers(-5, 10))
            now += step
            rows.append({"device": draw(devices), "x": draw(values), "n": number})
            times.append(now * S + draw(st.sampled_from([0, S // 2])) * (not sorted_times))
            number += 1
        events.append(batch(rows, times))
    return events


def batch(rows, times):
    """Rows with the columns of all streams, whatever is missing in them."""
    return from_rows([{"device": None, "x": None, **row} for row in rows], times)


def slowly(events, forget, start, step, by="device"):
    """All (port, row) pairs that ``step(state, row, time)`` gives, one row after the other.

    ``start()`` makes the state of a key that comes for the first time, or again when forgotten.
    """
    states, seen, mark, left = {}, {}, -(2**63), {}
    for event in events:
        if isinstance(event, int):
            mark = max(mark, event)
            for key in [key for key in seen if seen[key] + forget <= mark]:
                del states[key], seen[key]
            continue
        for row, time in zip(event.rows(), event.times.tolist(), strict=True):
            key = row.get(by)
            if key not in states:
                states[key] = start()
            seen[key] = max(seen.get(key, time), time, mark)
            for port, out in step(states[key], row, time):
                left.setdefault(port, []).append({**out, TIME: out.get(TIME, time)})
    return left


def same(operator, events, wanted, **close):
    """Hold an operator to the kit and to the rows of `slowly`."""
    found = check_operator(operator, events, **close)
    assert found.keys() == wanted.keys()
    for port, rows in wanted.items():
        assert len(found[port]) == len(rows)
        for row, other in zip(found[port], rows, strict=True):
            assert row.keys() | other.keys() == row.keys()
            for name, value in other.items():
                assert near(row[name], value), (name, row, other)


def near(value, other):
    if isinstance(value, float) and isinstance(other, float | int):
        return value == other or abs(value - other) <= 1e-9 * max(1, abs(other))
    return value == other
