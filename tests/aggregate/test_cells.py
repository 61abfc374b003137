"""Cells: rows in, results out, with everything that can be odd about numbers."""

import math

import numpy as np
import pytest

from edgestream.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.aggregate.pool import Pool
from edgestream.batch import Batch, Strings, from_rows, to_python

ALL = {
    "n": "count()",
    "n_x": "count(x)",
    "sum": "sum(x)",
    "mean": "mean(x)",
    "min": "min(x)",
    "max": "max(x)",
    "stddev": "stddev(x)",
    "first": "first(x)",
    "last": "last(x)",
}


def made(aggregates=ALL, size=1):
    return Cells({name: Aggregate.from_config(text) for name, text in aggregates.items()}, size)


def results(cells):
    return {name: to_python(column) for name, column in cells.finish().items()}


def of(values, aggregates=ALL, times=None):
    """The results of one cell that took ``values`` in one batch."""
    cells = made(aggregates)
    batch = from_rows([{"x": value} for value in values], times or range(len(values)))
    cells.update(np.zeros(len(values), np.intp), batch)
    return {name: column[0] for name, column in results(cells).items()}


def test_plain_numbers():
    assert of([1.0, 2.0, 4.0]) == {
        "n": 3,
        "n_x": 3,
        "sum": 7.0,
        "mean": 7 / 3,
        "min": 1.0,
        "max": 4.0,
        "stddev": pytest.approx(math.sqrt(7 / 3)),
        "first": 1.0,
        "last": 4.0,
    }


def test_the_mean_of_equal_values_is_that_value():
    assert of([0.1, 0.1, 0.1])["mean"] == 0.1
    assert of([20.1] * 7)["mean"] == 20.1


def test_missing_values_are_rows_but_no_values():
    got = of([None, 3.0, None])
    assert (got["n"], got["n_x"], got["mean"], got["first"]) == (3, 1, 3.0, 3.0)


def test_of_no_value_everything_but_counts_is_missing():
    got = of([None, None])
    assert got == {"n": 2, "n_x": 0} | dict.fromkeys(list(ALL)[2:])


def test_of_one_value_there_is_no_deviation():
    assert of([5.0])["stddev"] is None
    assert of([5.0, 5.0])["stddev"] == 0.0


@pytest.mark.parametrize(
    ("values", "total", "mean", "lowest", "highest"),
    [
        ([math.inf, 1.0], math.inf, math.inf, 1.0, math.inf),
        ([1.0, math.inf], math.inf, math.inf, 1.0, math.inf),
        ([-math.inf, 1.0, 2.0], -math.inf, -math.inf, -math.inf, 2.0),
        ([math.inf, -math.inf], None, None, -math.inf, math.inf),
        ([math.inf], math.inf, math.inf, math.inf, math.inf),
    ],
)
def test_infinities_go_through(values, total, mean, lowest, highest):
    got = of(values)
    assert (got["sum"], got["mean"], got["min"], got["max"]) == (total, mean, lowest, highest)
    assert got["stddev"] is None


def test_whole_numbers_are_summed_exactly():
    got = of([10**15, 10**15 + 1, 3, 1], {"sum": "sum(x)", "min": "min(x)", "last": "last(x)"})
    assert got == {"sum": 2e15 + 5, "min": 1, "last": 1}
    assert type(got["min"]) is int
    assert type(got["last"]) is int


def test_integers_beyond_floats_keep_every_digit():
    big = 2**62 + 1
    assert of([big, big - 2], {"max": "max(x)", "min": "min(x)"}) == {"max": big, "min": big - 2}


@pytest.mark.parametrize("offset", [1e9, -1e9, 1e12])
def test_digits_survive_an_offset(offset):
    values = [offset + k / 8 for k in range(1000)]
    wanted = math.sqrt(sum((k / 8 - 999 / 16) ** 2 for k in range(1000)) / 999)
    got = of(values)
    assert got["stddev"] == pytest.approx(wanted, rel=1e-12)
    assert got["mean"] == pytest.approx(offset + 999 / 16, rel=1e-15)


def test_an_outlier_that_comes_first_does_not_spoil_the_rest():
    got = of([1e9, *[20.0 + k % 7 for k in range(999)]])
    mean = (1e9 + sum(20.0 + k % 7 for k in range(999))) / 1000
    assert got["mean"] == pytest.approx(mean, rel=1e-12)


def test_first_and_last_go_by_time_then_by_arrival():
    ends = {"first": "first(x)", "last": "last(x)"}
    assert of([1, 2, 3], ends, [7, 5, 6]) == {"first": 2, "last": 1}
    assert of([1, 2, 3, 4], ends, [5, 5, 5, 5]) == {"first": 1, "last": 4}
    assert of([None, 2.5, 3.5, None], ends, [1, 2, 3, 4]) == {"first": 2.5, "last": 3.5}


def test_text_has_counts_and_ends():
    got = of(
        ["b", None, "a", ""],
        {"n": "count(x)", "first": "first(x)", "last": "last(x)"},
        [3, 1, 2, 3],
    )
    assert got == {"n": 3, "first": "a", "last": ""}


def test_bools_and_times_keep_their_kind():
    kinds = {"min": "min(x)", "max": "max(x)", "first": "first(x)"}
    assert of([True, False], kinds) == {"min": False, "max": True, "first": True}
    cells = made(kinds)
    stamps = np.array(["2024-05-01", "NaT", "2023-01-01"], "datetime64[us]")
    cells.update(np.zeros(3, np.intp), Batch({"x": stamps}, np.arange(3)))
    got = cells.finish()
    assert got["min"].tolist() == [stamps[2].item()]
    assert got["first"].dtype == "datetime64[us]"


def test_mean_of_bools_is_their_share():
    assert of([True, False, True, True], {"mean": "mean(x)"}) == {"mean": 0.75}


def test_a_column_that_turns_out_wider_is_widened():
    cells = made({"min": "min(x)", "last": "last(x)", "n": "count(x)"}, 2)
    at = np.zeros(1, np.intp)
    cells.update(at, Batch({"x": np.array([True])}, np.array([1])))
    cells.update(at, Batch({"x": np.array([3])}, np.array([2])))
    assert results(cells) == {"min": [1.0, None], "last": [3.0, None], "n": [2, 0]}
    cells.update(at, Batch({"x": np.array([0.5])}, np.array([3])))
    assert results(cells) == {"min": [0.5, None], "last": [0.5, None], "n": [3, 0]}
    cells.update(at + 1, Batch({"x": np.array([7])}, np.array([4])))
    assert results(cells)["last"] == [0.5, 7.0]
    cells.update(at, Batch({"x": Strings.of(["up"])}, np.array([5])))
    assert results(cells)["last"] == ["up", "7.0"]


def test_text_where_numbers_were_expected_is_read_or_missing():
    cells = made({"mean": "mean(x)", "n": "count(x)", "max": "max(x)"})
    cells.update(np.zeros(3, np.intp), Batch({"x": Strings.of(["2", "n/a", "4"])}, np.arange(3)))
    assert results(cells) == {"mean": [3.0], "n": [3], "max": [4.0]}


def test_a_column_that_is_not_there_is_missing():
    cells = made(ALL)
    cells.update(np.zeros(2, np.intp), Batch({"y": np.ones(2)}, np.arange(2)))
    assert results(cells)["n"] == [2]
    assert results(cells)["mean"] == [None]
    cells.update(np.zeros(1, np.intp), Batch({"x": np.array([4])}, np.arange(1)))
    assert results(cells)["n_x"] == [1]
    assert results(cells)["min"] == [4]


def test_aggregates_of_one_expression_share_their_state():
    many = made({"a": "mean(x)", "b": "stddev(x)", "c": "sum( x )", "d": "mean(x)"})
    assert len(many.tracks) == 1
    assert len(many.tracks[0].parts) == 1
    assert len(made({"a": "mean(x)", "b": "mean(y)"}).tracks) == 2
    assert made({"n": "count()"}).tracks == []


def test_the_order_of_names_does_not_change_the_state():
    one = made({"a": "mean(x)", "b": "max(y)"})
    other = made({"z": "max(y)", "c": "mean(x)"})
    batch = Batch({"x": np.array([1.0]), "y": np.array([2.0])}, np.array([0]))
    one.update(np.zeros(1, np.intp), batch)
    meta, arrays = one.save()
    other.load(meta, arrays)
    assert results(other) == {"z": [2.0], "c": [1.0]}


def split(values, cells, layers):
    """Values dealt to the given number of cells one after the other, then merged."""
    made_cells = made(ALL, layers)
    at = np.array([cell % layers for cell in cells], np.intp)
    times = np.array([cell % layers * 1000 + k for k, cell in enumerate(cells)])
    column = np.array([math.nan if v is None else v for v in values])
    made_cells.update(at, Batch({"x": column}, times))
    return made_cells.take(np.arange(layers)[:, None]).merge()


def test_merged_layers_are_as_good_as_one_cell():
    values = [1e9 + 0.5, None, 1e9 - 3.0, 7.0, 1e9, 2.0]
    cells = [0, 0, 0, 1, 1, 3]  # layer 2 stays empty
    got = {name: column[0] for name, column in results(split(values, cells, 4)).items()}
    times = [cell * 1000 + k for k, cell in enumerate(cells)]
    wanted = of(values, times=times)
    for name in ALL:
        assert got[name] == pytest.approx(wanted[name], rel=1e-12), name


def test_merged_empty_layers_stay_empty():
    got = results(made(ALL, 3).take(np.zeros((3, 2), np.intp)).merge())
    assert got == {"n": [0, 0], "n_x": [0, 0]} | {name: [None, None] for name in list(ALL)[2:]}


def test_merged_sums_of_whole_numbers_stay_whole():
    got = results(split([1, 1, 2, 3, 5, 8], [0, 1, 1, 2, 2, 2], 3))
    assert got["sum"] == [20.0]


def test_merged_infinities():
    assert results(split([math.inf, 1.0], [0, 1], 2))["sum"] == [math.inf]
    assert results(split([math.inf, -math.inf], [0, 1], 2))["mean"] == [None]


def test_a_pool_lends_clean_cells_and_takes_them_back():
    pool = Pool({"sum": Aggregate.from_config("sum(x)"), "last": Aggregate.from_config("last(x)")})
    first = pool.lend(50)
    assert sorted(first.tolist()) == list(range(1, 51))
    pool.cells.update(first, from_rows([{"x": 1.0}] * 50, range(50)))
    pool.give_back(first[:20])
    again = pool.lend(200)
    assert pool.lent == 230
    assert len(set(again.tolist()) | set(first[20:].tolist())) == 230
    assert 0 not in again
    assert to_python(pool.cells.take(again).finish()["sum"]) == [None] * 200
    assert to_python(pool.cells.take(first[20:]).finish()["sum"]) == [1.0] * 30


def test_a_snapshot_shares_nothing_with_what_runs():
    cells = made({**ALL, "s": "last(s)"})
    batch = Batch({"x": np.array([1.0]), "s": Strings.of(["on"])}, np.array([1]))
    cells.update(np.zeros(1, np.intp), batch)
    meta, arrays = cells.save()
    before = {name: array.tobytes() for name, array in arrays.items()}
    cells.update(np.zeros(1, np.intp), batch.with_columns(x=np.array([math.nan])))
    assert {name: array.tobytes() for name, array in arrays.items()} == before
    assert all(array.dtype != object for array in arrays.values())
    fresh = made({**ALL, "s": "last(s)"})
    fresh.load(meta, arrays)
    assert results(fresh)["n"] == [1]
    assert results(fresh)["s"] == ["on"]


def test_bytes_follow_the_cells():
    small, large = made(ALL, 10), made(ALL, 1000)
    assert large.nbytes == 100 * small.nbytes
