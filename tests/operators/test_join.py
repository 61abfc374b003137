import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows
from edgestream.codecs.json import Json
from edgestream.component import MAIN, Operator, State, component
from edgestream.config.fields import option, state
from edgestream.errors import ConfigError, Fatal
from edgestream.eventtime import ENDED, UNKNOWN
from edgestream.graph import build
from edgestream.operators import near
from edgestream.operators.join import Join
from edgestream.read import read_text
from edgestream.saved import migrated
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

S = 1_000_000_000


@component("mixed")
class Mixed(Operator):
    """A join whose inputs come in one stream, told by the column ``from``: the kit can cut that."""

    ports = ("late",)
    join: Join = option(help="The join.")
    _running: Join | None = state()

    def __post_init__(self):
        self._running = self.join.fresh()

    def process(self, batch):
        outputs = []
        for side in ("l", "r"):
            rows = batch.take(np.flatnonzero(batch["from"] == side))
            columns = {
                name[2:]: column
                for name, column in rows.columns.items()
                if name.startswith(f"{side}_")
            }
            outputs += self._running.process_from(side, Batch(columns, rows.times))
        return outputs

    def advance(self, watermark):
        return self._running.advance(watermark)

    def snapshot(self):
        return self._running.snapshot()

    def restore(self, saved):
        self._running.restore(saved)


def rows(*given):
    """Rows ``(side, second, key, value)``; every batch has all columns, as a codec gives them."""
    sides = Strings.of([row[0] for row in given])
    columns = {"from": sides}
    for side in ("l", "r"):
        mine = [row[0] == side for row in given]
        keys = [row[2] if own else None for row, own in zip(given, mine, strict=True)]
        values = [float(row[3]) if own else np.nan for row, own in zip(given, mine, strict=True)]
        columns[f"{side}_k"] = Strings.of(keys)
        columns[f"{side}_v"] = np.array(values)
    return Batch(columns, np.array([row[1] * S for row in given], np.int64))


def join(**options):
    return Mixed(Join("l", "r", **{"on": ["k"], **options}))


def bare(rows, *names):
    return [tuple(row.get(name) for name in names) for row in rows]


def found(operator, *events):
    left = check_operator(operator, list(events))
    out = bare(left.get(MAIN, []), "k", "v", "v_right", "@time")
    return [(key, value, other, time / S) for key, value, other, time in out]


def test_rows_near_each_other():
    events = (rows(("l", 10, "a", 1), ("r", 14, "a", 2), ("r", 5, "a", 3), ("r", 4, "a", 4)), ENDED)
    assert found(join(within="5s"), *events) == [("a", 1, 3, 10), ("a", 1, 2, 14)]


def test_pairs_leave_when_the_later_row_is_certain():
    events = [rows(("l", 10, "a", 1), ("r", 14, "a", 2)), 14 * S, rows(("r", 14, "a", 3)), 15 * S]
    left = check_operator(join(within="5s"), events)
    assert bare(left[MAIN], "v_right") == [(2,), (3,)]
    assert "" not in check_operator(join(within="5s"), events[:3])


def test_keys_must_be_equal_and_missing_ones_equal_nothing():
    batch = rows(("l", 1, "a", 1), ("l", 1, None, 2), ("r", 1, "b", 3), ("r", 1, None, 4))
    assert found(join(within="5s"), batch, ENDED) == []
    assert found(join(within="5s", kind="left"), batch, ENDED) == [
        ("a", 1, None, 6),
        (None, 2, None, 6),
    ]
    assert len(found(join(within="5s", on=[]), batch, ENDED)) == 4


def test_left_rows_without_a_match_leave_when_that_is_certain():
    events = [rows(("l", 10, "a", 1)), 15 * S, 16 * S, rows(("l", 20, "a", 2), ("r", 21, "a", 3))]
    assert found(join(within="5s", kind="left"), *events, ENDED) == [
        ("a", 1, None, 15),
        ("a", 2, 3, 21),
    ]
    left = check_operator(join(within="5s", kind="left"), events[:2])
    assert left == {}


def test_the_newest_row_before():
    batch = rows(
        ("r", 1, "a", 1),
        ("r", 5, "a", 2),
        ("r", 5, "a", 3),
        ("l", 0, "a", 10),
        ("l", 4, "a", 11),
        ("l", 5, "a", 12),
        ("l", 30, "a", 13),
    )
    assert found(join(asof="backward"), batch, ENDED) == [
        ("a", 11, 1, 4),
        ("a", 12, 3, 5),
        ("a", 13, 3, 30),
    ]
    assert found(join(asof="backward", tolerance="10s", kind="left"), batch, ENDED) == [
        ("a", 10, None, 0),
        ("a", 11, 1, 4),
        ("a", 12, 3, 5),
        ("a", 13, None, 30),
    ]


def test_rows_in_the_same_window():
    batch = rows(
        ("l", 0, "a", 1), ("l", 9, "a", 2), ("l", 10, "a", 3), ("r", 5, "a", 4), ("r", 25, "a", 5)
    )
    last = (10 * S - 1) / S
    assert found(join(tumbling="10s"), batch, ENDED) == [("a", 1, 4, last), ("a", 2, 4, last)]
    made = found(join(tumbling="10s", kind="left"), batch, 10 * S)
    assert made == [("a", 1, 4, last), ("a", 2, 4, last)]
    made = found(join(tumbling="10s", kind="left"), batch, 20 * S)
    assert made[2] == ("a", 3, None, (20 * S - 1) / S)


def test_rows_before_the_watermark_are_late():
    events = [rows(("r", 9, "a", 1)), 10 * S, rows(("l", 9, "a", 2), ("l", 10, "a", 3))]
    left = check_operator(join(within="5s"), [*events, rows(("r", 1, "b", 4)), ENDED])
    assert bare(left[MAIN], "v", "v_right") == [(3, 1)]
    assert bare(left["late"], "k", "v", "side") == [("a", 2, "l"), ("b", 4, "r")]


def reference(events, options):
    """All pairs by two loops over all rows, in order of time, then left, then right."""
    sides, mark = {"l": [], "r": []}, UNKNOWN
    for event in events:
        if not isinstance(event, Batch):
            mark = max(mark, event)
            continue
        for side, time, row in zip(
            event["from"].to_list(), event.times.tolist(), event.rows(), strict=True
        ):
            if time >= mark:
                sides[side].append((row[f"{side}_k"], time, row[f"{side}_v"]))
    out = []
    for at, (key, time, value) in enumerate(sides["l"]):
        same = [(n, r) for n, r in enumerate(sides["r"]) if key is not None and r[0] == key]
        if "within" in options:
            hits = [(n, r) for n, r in same if abs(r[1] - time) <= 5 * S]
            made = [(max(time, r[1]), at, n, key, value, r[2]) for n, r in hits]
            alone = time + 5 * S
        elif "tumbling" in options:
            hits = [(n, r) for n, r in same if r[1] // (10 * S) == time // (10 * S)]
            alone = (time // (10 * S) + 1) * 10 * S - 1
            made = [(alone, at, n, key, value, r[2]) for n, r in hits]
        else:
            most = 10 * S if "tolerance" in options else 10**30
            hits = [(r[1], n, r) for n, r in same if 0 <= time - r[1] <= most]
            made = [(time, at, n, key, value, r[2]) for _, n, r in sorted(hits)[-1:]]
            alone = time
        if not made and options.get("kind") == "left":
            made = [(alone, at, -1, key, value, None)]
        out += made
    return [(key, value, other, time) for time, *_, key, value, other in sorted(out, key=_first)]


def _first(made):
    return made[:3]


EVENTS = st.lists(
    st.one_of(
        st.lists(
            st.tuples(
                st.sampled_from("lr"),
                st.integers(-20, 40),
                st.sampled_from(["a", "b", None]),
                st.integers(0, 9),
            ),
            min_size=1,
            max_size=10,
        ).map(lambda given: rows(*given)),
        st.integers(-20, 40).map(lambda second: second * S),
    ),
    max_size=7,
)
WAYS = [
    {"within": "5s"},
    {"asof": "backward"},
    {"asof": "backward", "tolerance": "10s"},
    {"tumbling": "10s"},
]


@settings(deadline=None, max_examples=50)
@given(EVENTS, st.sampled_from(WAYS), st.sampled_from(["inner", "left"]))
def test_as_two_loops_over_all_rows(events, way, kind):
    options = {**way, "kind": kind}
    # Not in order: of one batch this test gives the left rows first, and so come the late ones.
    left = check_operator(join(**options), [*events, ENDED], ordered=False)
    made = bare(left.get(MAIN, []), "k", "v", "v_right", "@time")
    assert sorted(made, key=repr) == sorted(reference(events, options), key=repr)


@settings(deadline=None, max_examples=50)
@given(EVENTS, st.sampled_from(WAYS), st.sampled_from(["inner", "left"]))
def test_what_leaves_is_never_late_for_the_next_step(events, way, kind):
    operator, mark = join(**way, kind=kind), UNKNOWN
    for event in [*events, ENDED]:
        if isinstance(event, Batch):
            operator.process(event)
            continue
        times = [batch.times for _, batch in operator.advance(event)]
        assert all((stamps >= mark).all() and (np.diff(stamps) >= 0).all() for stamps in times)
        mark = max(mark, event)


def test_what_is_held_is_bounded_by_the_watermark():
    for way in WAYS:
        made = Join("l", "r", on=["k"], **way)
        for at in range(0, 30_000, 100):
            times = np.arange(at, at + 100) * S
            keys = np.arange(at, at + 100) % 7 + (at // 2000 * 7 if "tolerance" in way else 0)
            for side in ("l", "r") if way != WAYS[1] else ("r",):
                made.process_from(side, Batch({"k": keys}, times))
            made.advance(at * S)
        joining = made._joining
        near_ = getattr(joining, "_near", None)
        left, right = (near_.left, near_.right) if near_ else (joining._left, joining._right)
        assert len(left) + len(right) >= 100
        assert len(left) <= 400
        assert len(right) <= 5000
        assert len(joining._index) <= 20_000


def test_near_rows_are_sorted_again_seldom_however_many_are_held(monkeypatch):
    """Each row as often as the logarithm of what is held says, not at every watermark."""
    counted = []

    class Counting(near.Sorted):
        def __init__(self, slots, times):
            counted.append(len(times))
            super().__init__(slots, times)

    monkeypatch.setattr(near, "Sorted", Counting)
    operator, given = Join("l", "r", on=["k"], within="1h"), 0
    for at in range(1000):
        keys = np.arange(at, at + 4)
        operator.process_from("lr"[at % 2], Batch({"k": keys}, np.full(4, at * S)))
        operator.advance(at * S)
        given += 4
    assert given < sum(counted) < 12 * given


def test_names_that_are_on_both_sides():
    made = Join("l", "r", on="k", within="1s", suffix="_2")
    made.process_from("l", from_rows([{"k": 1, "x": 1, "y": 2}], [0]))
    made.process_from("r", from_rows([{"k": 1, "x": 3, "z": 4}], [0]))
    ((_, batch),) = made.advance(ENDED)
    assert batch.rows() == [{"k": 1, "x": 1, "y": 2, "x_2": 3, "z": 4}]


def test_every_kind_of_column_may_be_missing():
    made = Join("l", "r", on="k", within="1s", kind="left")
    right = from_rows([{"k": 1, "i": 5, "s": "x", "b": True}], [0]).with_columns(
        t=np.array([7], "datetime64[us]")
    )
    made.process_from("l", from_rows([{"k": 1}, {"k": 2}], [0, 0]))
    made.process_from("r", right)
    ((_, batch),) = made.advance(ENDED)
    assert batch["i"].dtype == batch["b"].dtype == np.float64
    one, other = batch.rows()
    assert other == {"k": 2, "i": None, "s": None, "b": None, "t": None}
    assert (one["i"], one["s"], one["b"]) == (5, "x", 1)


@pytest.mark.parametrize("way", WAYS)
def test_right_columns_that_are_known_are_there_before_a_right_row_came(way):
    known = {"k": "string", "f": "float", "i": "int", "b": "bool", "s": "string", "t": "time"}
    right = Schema({**known, "v": "float", "x": "any"}, open=True)
    made = Join("l", "r", on="k", kind="left", **way)
    schema = made.infer_sides({"l": LEFT, "r": right})
    made.process_from("l", from_rows([{"k": "a", "v": 1.0}], [0]))
    ((_, batch),) = made.advance(ENDED)
    assert list(batch.columns) == ["k", "v", "f", "i", "b", "s", "t", "v_right"]
    assert isinstance(batch["s"], Strings)
    dtypes = [batch[name].dtype.kind for name in ("f", "i", "b", "v_right", "t")]
    assert dtypes == ["f", "f", "f", "f", "M"]
    assert batch.rows() == [{"k": "a", "v": 1.0, **dict.fromkeys([*"fibst", "v_right"])}]
    words = {"f": "float", "i": "float", "b": "float", "s": "string", "t": "time"}
    assert {name: schema.kind(name) for name in words} == words


@pytest.mark.parametrize("way", WAYS)
def test_and_those_that_came_once_stay(way):
    """Long after the last right row was forgotten, and after a restart."""
    made = Join("l", "r", on="k", kind="left", **way)
    made.process_from("l", from_rows([{"k": "a"}], [0]))
    assert list(made.advance(60 * S)[0][1].columns) == ["k"]  # nothing is known of the right
    given = from_rows([{"k": "b", "i": 1, "s": "x"}], [70 * S])
    made.process_from("r", given.with_columns(t=np.array([7], "datetime64[us]")))
    made.advance(200 * S)
    again = Join("l", "r", on="k", kind="left", **way)
    again.restore(made.snapshot())
    for join_ in (made, again):
        for at in (300, 400):
            join_.process_from("l", from_rows([{"k": "a"}], [at * S]))
            ((_, batch),) = join_.advance((at + 50) * S)
            assert batch.rows() == [{"k": "a", "i": None, "s": None, "t": None}]
            assert isinstance(batch["s"], Strings)
            assert (batch["i"].dtype.kind, batch["t"].dtype.kind) == ("f", "M")


def test_state_from_before_columns_were_remembered_goes_on():
    made = Join("l", "r", on="k", kind="left", within="1s")
    made.process_from("r", from_rows([{"k": "a", "i": 1}], [0]))
    now = made.snapshot()
    meta = {name: value for name, value in now.meta.items() if name != "kinds"}
    state = migrated(made, State(1, meta, now.arrays))
    assert state == State(2, {**meta, "kinds": {}}, now.arrays)
    again = made.fresh()
    again.restore(state)
    again.process_from("l", from_rows([{"k": "a"}], [0]))
    assert again.advance(ENDED)[0][1].rows() == [{"k": "a", "i": 1}]


LEFT = Schema.of_kinds({"k": "string", "v": "float"})
RIGHT = Schema.of_kinds({"k": "string", "v": "int", "w": "bool"})


def test_what_leaves_is_known():
    made = Join("l", "r", on="k", within="1s").infer_sides({"l": LEFT, "r": RIGHT})
    assert made == Schema.of_kinds({"k": "string", "v": "float", "v_right": "int", "w": "bool"})
    outer = Join("l", "r", on="k", within="1s", kind="left")
    assert outer.infer_sides({"l": LEFT, "r": RIGHT}).kind("w") == "float"
    assert outer.port_schema("late", LEFT).kind("side") == "string"
    assert outer.uses() == {"k": "any"}
    assert outer.passes(frozenset({"v"})) is None
    assert outer.keys(("k",)) == ()


def test_names_are_checked():
    with pytest.raises(ConfigError, match=r"on\.0: right: there is no column 'x'"):
        Join("l", "r", on="x", within="1s").infer_sides({"l": Schema.unknown(), "r": RIGHT})
    with pytest.raises(ConfigError, match="'k' is string on the left and int on the right"):
        Join("l", "r", on="k", within="1s").infer_sides(
            {"l": LEFT, "r": Schema.of_kinds({"k": "int"})}
        )
    with pytest.raises(ConfigError, match="the stream has no input 'l'"):
        Join("l", "r", within="1s").infer_sides({"ll": LEFT, "r": RIGHT})
    with pytest.raises(ConfigError, match="takes two inputs"):
        Join("l", "r", within="1s").infer_sides({"l": LEFT, "r": RIGHT, "x": RIGHT})
    with pytest.raises(Fatal):
        Join("l", "r", within="1s").process(rows(("l", 1, "a", 1)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing says which rows match"),
        ({"within": "1s", "tumbling": "1s"}, "within and tumbling says which rows match"),
        ({"within": "1s", "tolerance": "1s"}, "tolerance belongs to asof"),
        ({"tumbling": "0s"}, "longer than nothing"),
        ({"within": "1s", "right": "l"}, "both sides are the same input"),
        ({"asof": "forward"}, "not one of the choices"),
    ],
)
def test_fields_are_checked(given, message):
    with pytest.raises(ConfigError, match=message):
        Join(**{"left": "l", "right": "r", **given})


def test_a_snapshot_of_another_join_is_refused():
    saved = Join("l", "r", on="k", within="1s").snapshot()
    with pytest.raises(ConfigError, match="the saved state is of within 1s"):
        Join("l", "r", on="k", within="2s").restore(saved)
    with pytest.raises(ConfigError, match="unknown version 9"):
        Join("l", "r", on="k", within="1s").restore(State(9, saved.meta, saved.arrays))


PIPELINE = """
name: joined
sources:
  readings: {file: a.ndjson, time: ts}
  alarms: {file: b.ndjson, time: ts}
streams:
  loud: {from: alarms, steps: [{where: level > 1}]}
  both:
    from: [readings, loud]
    steps:
      - join: {left: readings, right: loud, on: device, within: 5s}
      - window: {tumbling: 1m, aggregate: {n: count(), top: max(level)}}
sinks:
  out: {from: both, stdout: {}}
  late: {from: both.late, stdout: {}}
"""


def test_in_a_pipeline():
    text = PIPELINE.replace("both.late", "loud")
    graph = build(read_text(text.encode(), "x.yaml"), Json())
    assert graph.gathered("readings")
    graph.push("readings", from_rows([{"device": "a", "ts": 1.0}], [S]))
    graph.push("alarms", from_rows([{"device": "a", "ts": 3.0, "level": 2}], [3 * S]))
    graph.push("alarms", from_rows([{"device": "a", "ts": 3.0, "level": 1}], [3 * S]))
    assert graph.advance({"readings": ENDED, "alarms": 2 * S}) == []
    ((sink, batch),) = graph.advance({"readings": ENDED, "alarms": ENDED})
    assert sink == "out"
    assert bare(batch.rows(), "n", "top") == [(1, 2)]


def test_a_join_has_two_inputs_and_comes_first():
    for old, new in (
        ("from: [readings, loud]", "from: [readings]"),
        ("right: loud", "right: alarms"),
        ("      - join", "      - where: 'true'\n      - join"),
    ):
        text = PIPELINE.replace("both.late", "loud").replace(old, new)
        with pytest.raises(ConfigError, match=r"make it the first step of a stream with from: \["):
            build(read_text(text.encode(), "x.yaml"), Json())
