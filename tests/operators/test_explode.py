import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, from_rows
from edgestream.codecs.json import Json
from edgestream.component import State
from edgestream.errors import ConfigError
from edgestream.operators.explode import Explode, ItemTime
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator

S = 1_000_000_000


def frames(*lists, **columns):
    rows = [
        {"device": f"d{at}", **columns, "readings": given if isinstance(given, str) else None}
        if given is None or isinstance(given, str)
        else {"device": f"d{at}", **columns, "readings": json.dumps(given)}
        for at, given in enumerate(lists)
    ]
    return from_rows(rows, [at * S for at in range(len(rows))])


def bare(rows, *names):
    return [tuple(row.get(name) for name in names) for row in rows]


def test_objects_become_rows():
    batch = frames([{"t": 1, "gps": {"lat": 2.5}}, {"t": 3}], [], [{"t": 4, "gps": {"lat": 5}}])
    left = check_operator(Explode("readings"), [batch])
    assert bare(left[""], "device", "t", "gps.lat", "@time") == [
        ("d0", 1, 2.5, 0),
        ("d0", 3, None, 0),
        ("d2", 4, 5, 2 * S),
    ]
    assert list(left) == [""]
    assert "readings" not in left[""][0]


def test_other_items_become_a_column_called_like_the_list():
    batch = frames([20.5, 21], [22])
    left = check_operator(Explode("readings", prefix="x.", index="n"), [batch])
    assert bare(left[""], "device", "readings", "n") == [
        ("d0", 20.5, 0),
        ("d0", 21, 1),
        ("d1", 22, 0),
    ]
    texts = run_operator(Explode("readings"), [frames(["a", "b"], ["c"])])
    assert bare(texts[""], "readings") == [("a",), ("b",), ("c",)]
    nested = run_operator(Explode("readings"), [frames([[1, 2], [3]])])
    assert bare(nested[""], "readings") == [("[1,2]",), ("[3]",)]


def test_the_fields_of_items_may_have_a_prefix():
    batch = frames([{"device": "probe", "t": 1}], site="north")
    left = run_operator(Explode("readings", prefix="item."), [batch])
    assert bare(left[""], "device", "item.device", "item.t", "site") == [
        ("d0", "probe", 1, "north")
    ]
    left = run_operator(Explode("readings"), [batch])
    assert bare(left[""], "device") == [("probe",)]


def test_what_is_no_list_is_rejected():
    batch = frames([{"t": 1}], None, "[1, 2", '{"t": 1}', "5", '"a"', "[" * 5000, [{"t": 2}])
    left = check_operator(Explode("readings"), [batch])
    assert bare(left[""], "t") == [(1,), (2,)]
    reasons = bare(left["rejected"], "device", "reason")
    assert reasons[0] == ("d1", "the list 'readings' is missing")
    assert reasons[1:] == [(f"d{at}", "'readings' holds no list") for at in range(2, 7)]
    assert bare(left["rejected"], "readings")[:2] == [(None,), ("[1, 2",)]
    assert [row["@time"] for row in left["rejected"]] == [at * S for at in range(1, 7)]


def test_a_column_that_is_missing_or_no_text_is_rejected():
    batch = from_rows([{"a": 1}, {"a": 2}])
    left = check_operator(Explode("readings"), [batch])
    assert bare(left["rejected"], "a", "readings") == [(1, None), (2, None)]
    left = check_operator(Explode("a"), [batch])
    assert bare(left["rejected"], "a", "reason") == [
        ("1", "'a' holds no list"),
        ("2", "'a' holds no list"),
    ]


def test_items_that_are_not_what_the_others_are_are_rejected():
    batch = frames([{"t": 1}, 5, None, {"t": "warm"}, {"t": 2}], [[1], {"t": 3.5}])
    left = check_operator(Explode("readings"), [batch])
    assert bare(left[""], "t") == [(1,), (2,), (3.5,)]
    found = bare(left["rejected"], "device", "readings", "reason")
    assert found[0] == ("d0", "5", "the item is no object")
    assert found[1] == ("d0", "null", "the item is null")
    assert found[2][:2] == ("d0", '{"t": "warm"}')
    assert found[2][2].startswith("t: ")
    assert found[3] == ("d1", "[1]", "the item is no object")
    left = check_operator(Explode("readings"), [frames([1, {"t": 1}, "a"], [2])])
    assert bare(left[""], "readings") == [(1,), (2,)]
    assert bare(left["rejected"], "readings") == [('{"t": 1}',), ('"a"',)]


def test_items_have_times_of_their_own():
    batch = frames(
        [{"ts": 1_700_000_000_000, "t": 1}, {"ts": "soon", "t": 2}, {"t": 3}],
        [{"ts": 1_700_000_001_500, "t": 4}],
    )
    left = check_operator(Explode("readings", time=ItemTime("ts", "ms"), prefix="r."), [batch])
    assert bare(left[""], "r.t", "@time") == [
        (1, 1_700_000_000 * S),
        (4, 1_700_000_001_500_000_000),
    ]
    assert len(left["rejected"]) == 2
    assert left["rejected"][1]["reason"] == "the time column 'ts' is missing"


def test_a_bad_time_first_does_not_settle_what_times_are():
    batch = frames([{"ts": "soon"}, {"ts": 5}])
    left = check_operator(Explode("readings", time={"field": "ts", "unit": "s"}), [batch])
    assert bare(left[""], "@time") == [(5 * S,)]


def test_time_may_be_a_name_and_numbers_be_times():
    left = check_operator(Explode("readings", time="readings"), [frames([1, 2.5])])
    assert bare(left[""], "@time") == [(S,), (2_500_000_000,)]


def test_a_list_that_is_too_long_is_rejected_as_a_whole():
    left = check_operator(Explode("readings", max_items=2), [frames([1, 2, 3], [1, 2])])
    assert bare(left[""], "readings") == [(1,), (2,)]
    assert bare(left["rejected"], "readings", "reason") == [
        ("[1, 2, 3]", "'readings' has 3 items, more than 2")
    ]


ITEM = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.fixed_dictionaries({}, optional={"a": st.integers(0, 9), "b": st.integers(0, 9)}),
)
LIST = st.one_of(st.none(), st.just("no list"), st.lists(ITEM, max_size=5))


@settings(deadline=None)
@given(st.lists(LIST, max_size=8))
def test_as_one_row_at_a_time(lists):
    batch = frames(*lists)
    rows, rejected, objects = [], [], None
    for row, given_ in enumerate(lists):
        if not isinstance(given_, list):
            rejected.append((f"d{row}", given_))
            continue
        for place, item in enumerate(given_):
            if item is not None and objects is None:
                objects = isinstance(item, dict)
            if item is None or isinstance(item, dict) != objects:
                rejected.append((f"d{row}", json.dumps(item)))
            elif objects:
                rows.append((f"d{row}", place, item.get("a"), item.get("b"), None))
            else:
                rows.append((f"d{row}", place, None, None, item))
    left = check_operator(Explode("readings", index="n"), [batch])
    assert bare(left.get("", []), "device", "n", "a", "b", "readings") == rows
    assert bare(left.get("rejected", []), "device", "readings") == rejected


def test_the_json_codec_gives_lists_that_it_takes():
    decoded = Json().decode([b'{"d": 1, "r": [{"t": 1}, {"t": 2}]}', b'{"d": 2, "r": []}'])
    batch = Batch(decoded.columns, np.zeros(2, np.int64))
    assert bare(run_operator(Explode("r"), [batch])[""], "d", "t") == [(1, 1), (1, 2)]


def test_names_are_checked():
    schema = Schema.of_kinds({"device": "string", "readings": "string", "t": "float"})
    made = Explode("readings", index="n").infer(schema)
    assert made == Schema({"device": "string", "t": "float", "n": "int"}, open=True)
    with pytest.raises(ConfigError, match="there is no column 'reading'"):
        Explode("reading").infer(schema)
    with pytest.raises(ConfigError, match="'t' holds no lists"):
        Explode("t").infer(schema)
    with pytest.raises(ConfigError, match="cannot be empty"):
        Explode("")
    explode = Explode("readings", index="n")
    assert explode.port_schema("rejected", schema).kind("reason") == "string"
    assert explode.uses() == {"readings": "any"}
    assert explode.passes(frozenset({"n", "device"})) == {"device"}
    assert explode.passes(None) is None
    assert explode.keys(("device",)) == ()


def test_a_snapshot_of_another_version_is_refused():
    with pytest.raises(ConfigError, match="unknown version 9"):
        Explode("a").restore(State(9, {}, {}))
