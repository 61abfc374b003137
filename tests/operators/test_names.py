import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.operators.drop import Drop
from edgestream.operators.rename import Rename
from edgestream.operators.select import Select


@pytest.mark.parametrize(
    ("step", "keys"),
    [
        (Rename({"device": "sensor"}), ("sensor", "window_start")),
        (Rename({"n": "count"}), ("device", "window_start")),
        (Drop(["n"]), ("device", "window_start")),
        (Drop(["device"]), ()),
        (Select(["window_start", "device"]), ("device", "window_start")),
        (Select(["window_start", "n"]), ()),
    ],
)
def test_the_keys_that_are_foretold_are_those_of_the_rows(step, keys):
    given = ("device", "window_start")
    columns = {"device": Strings.of(["a"]), "window_start": np.zeros(1), "n": np.ones(1)}
    ((_, out),) = step.process(Batch(columns, np.zeros(1, np.int64), given))
    assert step.keys(given) == out.keys == keys
