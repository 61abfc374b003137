"""X4: bombs in every codec: rejected or harmless, bounded in memory, and no neighbour is touched.

Flipped bits are in every codec's own tests, and in `python -m tests.fuzz`.
`python -m tests.security.bombs` shows what each bomb costs.
"""

from __future__ import annotations

import numpy as np
import pytest

from edgestream.codecs.amount import MAX_VALUES
from edgestream.codecs.cbor import Cbor
from edgestream.codecs.json import Json
from edgestream.codecs.msgpack import Msgpack
from edgestream.codecs.senml import Senml
from edgestream.registry import installed
from tests.security.bombs import CASES, measured

MEMORY = {"arrow": 32}
"""MiB; a payload of Arrow may become four million values."""


def test_every_codec_has_bombs() -> None:
    assert {name.partition(" ")[0] for name in CASES} == set(installed().names("codec"))


@pytest.mark.parametrize("name", CASES)
def test_bombs_are_bounded_and_touch_no_neighbour(name: str) -> None:
    costs = measured(name)
    assert [cost.bomb for cost in costs if not cost.neighbours] == []
    most = MEMORY.get(name, 16) * 1024
    assert {cost.bomb: cost.kib // 1024 for cost in costs if cost.kib > most} == {}


@pytest.mark.parametrize("name", CASES)
def test_what_is_cut_off_touches_no_neighbour(name: str) -> None:
    case = CASES[name]()
    codec = installed().load("codec", name.partition(" ")[0])(**case.config)
    codec.want(None, {})
    codec.decode([case.honest])
    one = codec.decode([case.honest]).count
    cuts = [case.honest[:length] for length in range(len(case.honest))]
    decoded = codec.decode([part for cut in cuts for part in (cut, case.honest)])
    assert not set(decoded.rejected) & set(range(1, 2 * len(cuts), 2))
    assert decoded.count >= one * len(cuts)


@pytest.mark.parametrize("name", ["cbor", "msgpack"])
def test_values_are_counted_before_they_are_looked_at(name: str) -> None:
    """A list of as many values as may be is taken, one value more is not, read or not."""
    codec = {"cbor": Cbor, "msgpack": Msgpack}[name]
    head = {"cbor": b"\xa1\x61a\x9a", "msgpack": b"\x81\xa1a\xdd"}[name]
    payloads = [
        head + count.to_bytes(4, "big") + b"\x01" * count for count in (MAX_VALUES - 1, MAX_VALUES)
    ]
    decoded = codec().decode(payloads)
    assert decoded.count == 1
    assert decoded.rejected == {1: f"more than {MAX_VALUES:,} values in one payload"}


@pytest.mark.parametrize("length", [1_024, 1_025])
def test_a_long_base_name_is_not_repeated(length: int) -> None:
    pack = b'[{"bn":"' + b"x" * (length - 1) + b'"},{"n":"y","v":1},{"n":"z","v":1}]'
    decoded = Senml().decode([pack])
    assert decoded.count == (2 if length == 1_024 else 0)
    assert bool(decoded.rejected) == (length > 1_024)


def test_names_that_are_not_read_are_not_kept_without_end() -> None:
    """Names are kept to say what a column may be called: of 32 payloads, not all of all."""
    codec = Json()
    codec.want(frozenset({"a"}), {})
    payloads = [
        b"{" + b",".join(b'"%d.%d":1' % (at, n) for n in range(5_000)) + b',"a":1}'
        for at in range(32)
    ]
    decoded = codec.decode(payloads)
    assert np.array_equal(decoded.columns["a"], np.ones(32))
    assert codec._engine is not None
    assert len(codec._engine._names) <= 1_024
