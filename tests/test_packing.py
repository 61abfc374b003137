import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.packing import decode_batch, decode_state, encode_batch, encode_state


def test_a_snapshot_comes_back() -> None:
    arrays = {"n": np.arange(6).reshape(2, 3), "x": np.array([1.5, np.nan]), "none": np.zeros(0)}
    state = decode_state(encode_state(State(3, {"keys": ["a", "ü"]}, arrays)))
    assert (state.version, state.meta) == (3, {"keys": ["a", "ü"]})
    for name, array in arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array)


def test_a_batch_comes_back_with_only_the_strings_that_occur() -> None:
    text = Strings.of(["a", "b", None, "c"])
    batch = Batch(
        {"d": text, "at": np.array([0, 1, 2, 3], "datetime64[us]"), "ok": np.ones(4, np.bool_)},
        np.arange(4),
        ("d",),
    ).take(np.array([1, 2]))
    again = decode_batch(encode_batch(batch))
    assert again.rows() == batch.rows()
    assert again.keys == ("d",)
    assert list(again["d"].dictionary.values) == ["b"]
    assert again.times.tolist() == [1, 2]


@pytest.mark.parametrize("at", [0, 4, 20, -1])
def test_a_flipped_bit_is_found(at: int) -> None:
    data = bytearray(encode_state(State(1, {}, {"x": np.arange(100)})))
    data[at] ^= 1
    with pytest.raises(StoreError, match="damaged"):
        decode_state(bytes(data))


def test_objects_are_never_stored() -> None:
    with pytest.raises(TypeError, match="object"):
        encode_state(State(1, {}, {"x": np.array([{}], object)}))
