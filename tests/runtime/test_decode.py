from __future__ import annotations

import pytest

from edgestream.batch import Strings
from edgestream.codecs.json import Json
from edgestream.component import Payloads
from edgestream.eventtime import Watermark
from edgestream.graph import Entry
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
