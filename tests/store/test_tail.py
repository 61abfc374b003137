from hypothesis import given
from hypothesis import strategies as st

from edgestream.store import tail
from edgestream.store.tail import Tails

SECOND = 1_000_000_000
ROWS = st.lists(
    st.tuples(st.integers(1, 20_000), st.integers(0, 5 * SECOND)), min_size=1, max_size=120
)


@given(ROWS)
def test_it_holds_all_that_may_come_again_and_little_more(steps):
    tails, rows, now = Tails(), [], 0
    for seq, (messages, pause) in enumerate(steps, start=1):
        now += pause
        tails.note("source", seq, messages, now)
        rows.append((seq, messages, now))
    start = tails.start("source")
    after = sum(messages for seq, messages, _ in rows if seq >= start)
    for seq, _, received in rows[: start - 1]:
        later = sum(n for number, n, _ in rows if number > seq)
        assert later >= tail.MESSAGES or received < now - tail.NANOS
    one = 4_096 + 20_000  # a stretch ends only after it is long
    first_out = next((at for seq, _, at in rows if seq == start), now)
    assert after <= tail.MESSAGES + one or first_out >= now - tail.NANOS


def test_memory_does_not_grow_with_the_journal():
    tails = Tails()
    for seq in range(1, 300_001):
        tails.note("source", seq, 1, seq * SECOND // 1000)
    assert len(tails._stretches["source"]) <= 130
    assert 300_000 - tail.MESSAGES - 2_000 <= tails.start("source") <= 300_000 - tail.MESSAGES + 1


def test_each_source_has_its_own():
    rows = [("a", 1, 70_000, 0), ("b", 2, 1, 0), ("a", 3, 70_000, 2 * SECOND)]
    assert Tails(rows).starts() == {"a": 3, "b": 2}
    assert Tails().start("a") == 0


def test_a_clock_that_jumps_cuts_no_tail():
    day = 86_400 * SECOND
    clock = [0, SECOND, 3 * day, 3 * day + SECOND, 2 * day, 2 * day + SECOND]
    rows = [("source", seq, 1, at) for seq, at in enumerate(clock, start=1)]
    assert Tails(rows).start("source") == 1
