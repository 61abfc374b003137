import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream import textcodes
from edgestream.batch import Batch, Dictionary, Strings, from_rows, to_python
from edgestream.window.index import KeyIndex
from edgestream.window.lookup import Lookup
from edgestream.window.remembered import Remembered

NAMES = ("a", "b", "c")


def keys_of(index, slots):
    columns = index.take(np.asarray(slots))
    return list(zip(*(to_python(columns[name]) for name in index.names), strict=True))


def test_slots_follow_first_appearance():
    index = KeyIndex(["a"])
    batch = from_rows([{"a": "x"}, {"a": "y"}, {"a": None}, {"a": "x"}, {"a": "z"}])
    assert index.slots(batch).tolist() == [0, 1, 2, 0, 3]
    assert index.slots(from_rows([{"a": "w"}, {"a": "z"}])).tolist() == [4, 3]
    assert keys_of(index, range(5)) == [("x",), ("y",), (None,), ("z",), ("w",)]


def test_a_key_is_the_same_in_every_dictionary():
    index = KeyIndex(["a"])
    for order in (["x", "y"], ["y", "x"], ["z", "x"], ["y"], ["q", "y"], ["x", "q"]):
        texts = Strings(Dictionary(order).encode(order), Dictionary(order))
        slots = index.slots(Batch({"a": texts}, np.zeros(len(order), np.int64)))
        assert keys_of(index, slots) == [(text,) for text in order]
    assert len(index) == 4


def test_a_dictionary_that_was_pushed_out_by_others_is_known_again():
    mine, index, keys = Dictionary(), KeyIndex(["a"]), ["x", "y"]
    for text in keys:
        batch = Batch({"a": Strings(mine.encode([text]), mine)}, np.zeros(1, np.int64))
        assert index.slots(batch).tolist() == [keys.index(text)]
        for _ in range(6):
            other = Strings.of(["z", text])
            found = index.find(Batch({"a": other}, np.zeros(2, np.int64)))
            assert found.tolist() == [-1, keys.index(text)]
    both = Batch({"a": Strings(mine.encode(keys), mine)}, np.zeros(2, np.int64))
    assert index.slots(both).tolist() == [0, 1]
    assert len(index) == 2


def test_a_dictionary_that_grows_is_read_on():
    dictionary, index = Dictionary(), KeyIndex(["a"])
    for n in range(1, 400, 7):
        texts = [f"k{k % n}" if k % 5 else None for k in range(n)]
        batch = Batch({"a": Strings(dictionary.encode(texts), dictionary)}, np.zeros(n, np.int64))
        assert keys_of(index, index.slots(batch)) == [(text,) for text in texts]


@pytest.mark.parametrize(
    "column",
    [
        np.array([3, -7, 3, 2**62, 0, 70_000]),
        np.array([0.5, math.nan, -0.0, 0.0, math.inf, math.nan]),
        np.array([True, False, True]),
        np.array(["2024-01-01", "NaT", "1950-01-01"], "datetime64[us]"),
    ],
)
def test_any_kind_of_column_may_be_a_key(column):
    index = KeyIndex(["a"])
    slots = index.slots(Batch({"a": column}, np.zeros(len(column), np.int64)))
    assert len(index) == len(
        {str(value) for value in (column + 0 if column.dtype == float else column)}
    )
    found = index.take(slots)["a"]
    assert found.dtype == column.dtype
    np.testing.assert_array_equal(found, column)


def test_a_column_that_is_not_there_is_missing():
    index = KeyIndex(["a"])
    assert index.slots(from_rows([{"b": 1}, {"b": 2}])).tolist() == [0, 0]
    assert index.slots(from_rows([{"a": "x"}, {"a": None}])).tolist() == [1, 0]
    assert keys_of(index, [0, 1]) == [(None,), ("x",)]


def test_whole_numbers_stay_whole_when_one_is_missing():
    index = KeyIndex(["a"])
    assert index.slots(from_rows([{"a": 5}, {"a": 6}])).tolist() == [0, 1]
    assert index.slots(from_rows([{"a": 6}, {"a": None}])).tolist() == [1, 2]
    assert index.slots(from_rows([{"b": 1}])).tolist() == [2]
    assert index.take(np.array([0, 1]))["a"].dtype == np.int64
    assert keys_of(index, [2, 0]) == [(None,), (5.0,)]
    assert index.slots(from_rows([{"a": 6.5}, {"a": 6.0}])).tolist() == [3, 1]
    assert index.take(np.array([0, 3]))["a"].tolist() == [5.0, 6.5]


def test_numbers_that_turn_out_to_be_text_are_text():
    index = KeyIndex(["a"])
    index.slots(from_rows([{"a": 5}, {"a": 6}]))
    assert index.slots(from_rows([{"a": "x"}, {"a": "5"}])).tolist() == [2, 0]
    assert index.slots(from_rows([{"a": 6}])).tolist() == [1]
    assert keys_of(index, [0, 1, 2]) == [("5",), ("6",), ("x",)]


def test_without_key_columns_there_is_one_slot():
    index = KeyIndex([])
    assert len(index) == 1
    assert index.slots(from_rows([{"a": 1}] * 3)).tolist() == [0, 0, 0]
    assert index.take(np.array([0])) == {}


cells = st.one_of(st.none(), st.sampled_from(["x", "y", "zz"]))
key_rows = st.lists(
    st.fixed_dictionaries({"a": cells, "b": st.integers(-3, 3), "c": cells}), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(st.lists(key_rows, max_size=5), st.sets(st.integers(0, 40)), st.lists(key_rows, max_size=3))
def test_several_columns_against_a_dict(before, kept, after):
    index, known = KeyIndex(NAMES), {}

    def check(rows):
        if rows:
            keys = [tuple(row[name] for name in NAMES) for row in rows]
            wanted = [known.setdefault(key, len(known)) for key in keys]
            assert index.slots(from_rows(rows)).tolist() == wanted
            assert keys_of(index, wanted) == keys

    for rows in before:
        check(rows)
    slots = sorted(slot for slot in kept if slot < len(known))
    if slots:
        index.keep(np.array(slots))
        inverse = list(known)
        known = {inverse[slot]: at for at, slot in enumerate(slots)}
        assert len(index) == len(known)
    again = KeyIndex(NAMES)
    again.load(*index.save())
    index = again
    for rows in after:
        check(rows)


steps = st.lists(
    st.tuples(
        st.sampled_from(["slots", "slots", "find", "keep"]),
        st.integers(0, 6) | st.just(0),
        st.lists(st.sampled_from(["x", "y", "z", "w", "v", None]), min_size=1, max_size=6),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_texts_of_dictionaries_that_come_and_go_against_a_dict(steps):
    dictionaries = [Dictionary() for _ in range(7)]  # more than are remembered
    index, known = KeyIndex(["a"]), {}
    for step, which, texts in steps:
        dictionary = dictionaries[which]
        batch = Batch(
            {"a": Strings(dictionary.encode(texts), dictionary)}, np.zeros(len(texts), np.int64)
        )
        if step == "slots":
            wanted = [known.setdefault(text, len(known)) for text in texts]
            assert index.slots(batch).tolist() == wanted
        elif step == "find":
            assert index.find(batch).tolist() == [known.get(text, -1) for text in texts]
        else:
            kept = [slot for text, slot in known.items() if text in texts]
            index.keep(np.array(kept, np.intp))
            known = {text: at for at, text in enumerate(t for t in known if t in texts)}
        assert keys_of(index, np.arange(len(known))) == [(text,) for text in known]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 70_000), max_size=9)),
    st.booleans(),
)
def test_lookup_against_a_dict(batches, crowded):
    lookup, known = Lookup(), {}
    with pytest.MonkeyPatch.context() as patch:
        if crowded:  # so that some find no place in the table
            patch.setattr(textcodes, "_ROUNDS", 1)
            patch.setattr(textcodes, "_SPARE", 1)
            patch.setattr(textcodes, "_FEWEST", 4)
            patch.setattr(textcodes, "_SPACIOUS", 4)
            lookup = Lookup()
        for values in batches:
            found = lookup.find(np.array(values, np.int64)).tolist()
            assert found == [known.get(value, -1) for value in values]
            wanted = [known.setdefault(value, len(known)) for value in values]
            assert lookup.numbers(np.array(values, np.int64)).tolist() == wanted
        assert lookup.values.tolist() == list(known)
        again = Lookup(lookup.values)
        assert again.numbers(np.array(list(known), np.int64)).tolist() == list(range(len(known)))


def test_keys_are_forgotten_when_twice_as_many_came_as_are_needed():
    keys = Remembered(["a"])
    for begin in range(0, 4096, 256):
        keys.slots(from_rows([{"a": k} for k in range(begin, begin + 256)]))
        if keys.closed():
            used = np.zeros(len(keys), np.bool_)
            used[-10:] = True
            kept = keys.forget(used)
            if kept is not None:
                assert len(kept) == len(keys)
    assert len(keys) <= 2048
    assert keys.take(np.array([len(keys) - 1]))["a"].tolist() == [4095]
    assert keys.slots(from_rows([{"a": 4095}, {"a": 0}])).tolist() == [len(keys) - 2, len(keys) - 1]
