"""Small reads that wait become one block, large ones are cut; nothing else shows."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgestream.batch import Batch, Strings
from edgestream.clock import SystemClock
from edgestream.codecs.json import Json
from edgestream.component import Payloads
from edgestream.graph import build
from edgestream.pieces import Pieces
from edgestream.runtime.blocks import MOST_ROWS, joined, origin, received, rows, slices
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Ended, Inbox, Item
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec
from tests.runtime.parts import Feed, Memory, Table, Wire


def item(seq: int, *payloads: bytes, source: str = "source", **columns: object) -> Item:
    data = Payloads(list(payloads), columns, received=1000 * seq)
    return Item(source, data, {"seq": seq}, sum(map(len, payloads)), 1, seq)


def pipeline(wire: Wire, table: Table) -> PipelineSpec:
    source = SourceSpec(Feed(wire))
    return PipelineSpec(
        "test", {"source": source}, {}, {"sink": SinkSpec(("source",), Memory(table))}
    )


def test_items_are_joined_and_each_payload_keeps_its_arrival_and_place() -> None:
    items = [item(1, b"a", b"b"), item(2, b"c"), item(3, b"d", b"e")]
    (block,) = joined(items)
    assert isinstance(block.data, Payloads)
    assert block.data.payloads == [b"a", b"b", b"c", b"d", b"e"]
    assert (block.position, block.index, block.size) == ({"seq": 3}, 3, 5)
    assert np.asarray(received(block, 9)).tolist() == [1000, 1000, 2000, 3000, 3000]
    assert [origin(block, row) for row in range(5)] == [
        {"seq": 1, "row": 0},
        {"seq": 1, "row": 1},
        {"seq": 2, "row": 0},
        {"seq": 3, "row": 0},
        {"seq": 3, "row": 1},
    ]


def test_payloads_that_lie_in_their_reads_are_joined_where_they_lie() -> None:
    reads = [b"-a-bc", b"d--"]
    bounds = [([1, 3], [2, 5]), ([0], [1])]
    items = [
        replace(item(seq), data=Payloads(Pieces(read, np.array(starts), np.array(stops))))
        for seq, (read, (starts, stops)) in enumerate(zip(reads, bounds, strict=True))
    ]
    (block,) = joined(items)
    assert isinstance(block.data, Payloads)
    assert isinstance(block.data.payloads, Pieces)
    assert block.data.payloads == [b"a", b"bc", b"d"]


def test_columns_are_joined_and_unlike_ones_keep_items_apart() -> None:
    topics = Strings.of(["x", "y"])
    items = [
        item(1, b"a", topic=topics[:1], n=[1], m=np.array([1.0])),
        item(2, b"b", topic=topics[1:], n=[2], m=np.array([2.0])),
        item(3, b"c", topic=Strings.of(["z"]), n=[3], m=np.array([3.0])),
        item(4, b"d"),
    ]
    first, *others = joined(items)
    assert isinstance(first.data, Payloads)
    assert first.data.columns["topic"].to_list() == ["x", "y"]
    assert first.data.columns["n"] == [1, 2]
    assert first.data.columns["m"].tolist() == [1.0, 2.0]
    assert others == items[2:]


def test_a_large_item_is_cut_by_rows_and_by_bytes() -> None:
    many = [b"%d" % n for n in range(2 * MOST_ROWS + 5)]
    pieces = list(slices(item(7, *many, n=list(range(len(many))))))
    assert [len(piece.data) for piece in pieces] == [MOST_ROWS, MOST_ROWS, 5]
    assert [row for piece in pieces for row in piece.data.payloads] == many  # type: ignore[union-attr]
    assert [piece.data.columns["n"][0] for piece in pieces] == [0, MOST_ROWS, 2 * MOST_ROWS]
    assert all(piece.position == {"seq": 7} for piece in pieces)
    assert origin(pieces[2], 3) == {"seq": 7, "row": 2 * MOST_ROWS + 3}
    large = item(8, *[bytes(5 << 20)] * 3, bytes(20 << 20))
    assert [len(piece.data) for piece in slices(large)] == [2, 2]
    small = item(9, b"a")
    assert list(slices(small)) == [small]
    batch = Batch({}, np.arange(2 * MOST_ROWS + 5))
    assert np.concatenate([part.times for part in rows(batch)]).tolist() == batch.times.tolist()
    assert [len(part) for part in rows(batch)] == [MOST_ROWS, MOST_ROWS, 5]


async def test_the_inbox_gives_more_of_one_source_and_leaves_the_others_in_order() -> None:
    inbox = Inbox()
    a1, b1, a2, b2, a3 = (item(n, b"x", source="abaab"[n - 1 : n]) for n in range(1, 6))
    for each in (a1, b1, a2, Ended("c"), b2, a3):
        await inbox.put(each)
    assert inbox.take() is a1
    assert inbox.take_more("a", 2, 100) == [a2, b2]
    assert [inbox.take() for _ in range(4)] == [b1, Ended("c"), a3, None]
    await inbox.put(item(6, b"x" * 10, source="a"))
    assert inbox.take_more("a", 5, 9) == []
    assert len(inbox) == 1


def test_rows_without_a_time_keep_that_of_their_arrival() -> None:
    flow = Flow(build(pipeline(Wire(), Table()), Json()))
    (block,) = joined([item(1, b'{"v": 1}', b"bad"), item(2, b'{"v": 2}', b"worse")])
    got = flow.read(block, 5)
    assert got.batch.times.tolist() == [1000, 2000]
    letters = flow.push(block, got, 5, 0).letters
    assert [json.loads(letter.position) for letter in letters] == [
        {"seq": 1, "row": 1},
        {"seq": 2, "row": 1},
    ]
    assert [letter.data for letter in letters] == [b"bad", b"worse"]


async def test_a_backlog_and_a_large_read_come_out_whole_and_in_order(
    tmp_path: Path,
) -> None:
    def line(n: int) -> bytes:
        return b'{"n": %d}' % n

    small = [[line(n)] for n in range(500)]
    large = [line(n) for n in range(500, 500 + MOST_ROWS + 100)]
    wire, table = Wire([*small, large], ends=True), Table()
    made = Running(pipeline(wire, table), tmp_path, SystemClock())
    await asyncio.wait_for(made.run(), 20)
    assert [row["n"] for row in table.rows] == list(range(500 + MOST_ROWS + 100))
