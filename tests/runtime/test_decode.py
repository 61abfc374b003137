from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.codecs.json import Json
from edgestream.component import Codec, Decoded, Payloads, component
from edgestream.entry import Entry
from edgestream.eventtime import Time, Watermark
from edgestream.runtime.decode import read
from tests.runtime.parts import Feed, Wire


@pytest.mark.parametrize(("payloads", "good"), [([b"{"], []), ([b"{", b'{"x":1}'], [1])])
def test_columns_beside_payloads_go_with_the_good_ones(
    payloads: list[bytes], good: list[int]
) -> None:
    topics = [f"t{index}" for index in range(len(payloads))]
    entry = Entry("feed", Feed(wire=Wire()), Json(), None, Watermark(None))
    got = read(entry, Payloads(payloads, {"topic": Strings.of(topics)}), 5)
    assert got.batch["topic"].to_list() == [topics[index] for index in good]
    assert got.batch.times.tolist() == [5] * len(good)
    assert list(got.rejected) == [0]


@component("many")
class Many(Codec):
    """Each byte of a payload is a row; a payload of an odd number of bytes is rejected."""

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        even = [index for index, payload in enumerate(payloads) if len(payload) % 2 == 0]
        good = [index for index in even for _ in payloads[index]]
        values = np.frombuffer(b"".join(payloads[index] for index in even), np.uint8)
        rejected = {index: "odd" for index, payload in enumerate(payloads) if len(payload) % 2}
        stamps = values.astype("datetime64[us]")
        return Decoded(
            {"x": np.where(values == 255, math.nan, values), "at": stamps},
            len(values),
            np.array(good),
            rejected,
            {"at": values < 10},
        )

    def encode(self, batch: Batch) -> list[bytes]:
        return []


BLOCK = Payloads([b"\x01\x02", b"\x03", b"", b"\x63\x05"], {"topic": ["a", "b", "c", "d"]})


def test_a_payload_of_many_rows_lends_its_columns_to_each_of_them() -> None:
    entry = Entry("feed", Feed(wire=Wire()), Many(), None, Watermark(None))
    got = read(entry, BLOCK, 5)
    assert got.batch["x"].tolist() == [1, 2, 99, 5]
    assert got.batch["topic"].to_list() == ["a", "a", "d", "d"]
    assert got.batch.times.tolist() == [5] * 4
    assert got.rejected == {1: "odd"}


def test_times_counted_from_the_arrival_become_times() -> None:
    entry = Entry("feed", Feed(wire=Wire()), Many(), Time("at"), Watermark(None))
    got = read(entry, BLOCK, 1_000_000_000)
    micros = [1_000_001, 1_000_002, 99, 1_000_005]
    assert got.batch["at"].astype(np.int64).tolist() == micros
    assert got.batch.times.tolist() == [1_000 * value for value in micros]


def test_a_payload_goes_whole_if_one_of_its_rows_has_no_time() -> None:
    entry = Entry("feed", Feed(wire=Wire()), Many(), Time("x"), Watermark(None))
    got = read(entry, Payloads([b"\x01\x02", b"\x03\xff", b"\x04\x05"]), 5)
    assert got.batch["x"].tolist() == [1, 2, 4, 5]
    assert list(got.rejected) == [1]
    assert "missing" in got.rejected[1]
