"""Dead letters in the state file: bounds, filters, and there once however often they are made."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgestream.batch import from_rows
from edgestream.packing import encode_batch
from edgestream.store.letters import STAGES, Bounds, DeadLetter, Wanted, readable
from edgestream.store.store import Store
from edgestream.store.tables import Cut


def letter(number: int, **more: object) -> DeadLetter:
    made = DeadLetter(number, "source", "decode", "{}", "bad", b"%d" % number)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path, "weather")
    yield opened
    await opened.close()


async def numbers(store: Store, **wanted: object) -> list[int]:
    return [found.at for found in await store.dead_letters(Wanted(**wanted))]  # type: ignore[arg-type]


async def test_everything_of_a_letter_comes_back(store: Store) -> None:
    made = DeadLetter(
        5, "mqtt", "time", '{"seq": 7, "row": 3}', "no time", b"\x00\xff", "payload",
        '{"topic": "a/b"}', 4, 2, "mqtt 7 3",
    )  # fmt: skip
    await store.bury([made], Bounds())
    (found,) = await store.dead_letters(Wanted())
    assert found == replace(made, id=1)


async def test_beyond_so_many_the_oldest_go_and_are_counted(store: Store) -> None:
    await store.bury([letter(n) for n in range(5)], Bounds(rows=3))
    assert await numbers(store) == [2, 3, 4]
    await store.bury([letter(5)], Bounds(rows=3))
    held = await store.held()
    assert (held.rows, held.dropped, await numbers(store)) == (3, 3, [3, 4, 5])


async def test_beyond_so_many_bytes_the_oldest_go_and_are_counted(store: Store) -> None:
    size = letter(1, data=b"x" * 1000).size
    bounds = Bounds(bytes=3 * size)
    await store.bury([letter(n, data=b"x" * 1000) for n in range(4)], bounds)
    assert await numbers(store) == [1, 2, 3]
    await store.bury([letter(4, data=b"x" * 1500)], bounds)
    held = await store.held()
    assert (await numbers(store), held.rows, held.dropped) == ([3, 4], 2, 3)
    assert held.bytes == sum(found.size for found in await store.dead_letters(Wanted()))
    await store.bury([letter(5, data=b"x" * 9000)], bounds)
    assert (await numbers(store), (await store.held()).dropped) == ([], 6)


async def test_what_is_counted_is_what_is_there_in_any_script(store: Store) -> None:
    await store.bury([letter(1, reason="größer als 5 °C 🌡", beside='{"t": "ü"}')], Bounds())
    counted = (await store.held()).bytes
    with sqlite3.connect(store.path) as other:
        other.execute("DELETE FROM meta WHERE name = 'dead_letters'")
    assert (await store.held()).bytes == counted
    assert await store.drop_letters(Wanted()) == 1
    held = await store.held()
    assert (held.rows, held.bytes) == (0, 0)


async def test_letters_are_found_by_all_that_is_said_of_them(store: Store) -> None:
    await store.bury(
        [
            letter(10),
            letter(20, step="steps.0", stage="operator", reason="KeyError: 'x'"),
            letter(30, step="sink", stage="write", reason="too LARGE"),
        ],
        Bounds(),
    )
    assert await numbers(store, step="sink") == [30]
    assert await numbers(store, stage="operator") == [20]
    assert await numbers(store, reason="large") == [30]
    assert await numbers(store, reason="'x'") == [20]
    assert await numbers(store, after=20) == [20, 30]
    assert await numbers(store, before=20) == [10]
    assert await numbers(store, ids=(1, 3)) == [10, 30]
    assert await numbers(store, above=1) == [20, 30]
    assert await numbers(store, stage="write", reason="bad") == []
    assert {"decode", "time", "operator", "write", "store"} == set(STAGES)


async def test_a_letter_that_is_made_again_is_there_once(store: Store) -> None:
    twice = letter(1, once="sink 7 0")
    await store.bury([twice, letter(2)], Bounds())
    await store.bury([replace(twice, at=9), letter(2)], Bounds())
    held = await store.held()
    assert (await numbers(store), held.rows) == ([1, 2, 2], 3)


async def test_a_replayed_letter_goes_in_the_transaction_of_its_outcome(store: Store) -> None:
    await store.bury([letter(1, once="a"), letter(2)], Bounds())
    cut = Cut(1, 0, {}, {}, {}, dead_letters=[letter(3, attempts=2, once="a")], replayed=[1])
    await store.save(cut)
    assert await numbers(store) == [2, 3]
    assert (await store.held()).rows == 2
    with pytest.raises(Exception, match="UNIQUE"):  # the same epoch: the transaction fails
        await store.save(replace(cut, replayed=[2]))
    with sqlite3.connect(store.path) as other:
        assert other.execute("SELECT at FROM dead_letters ORDER BY at").fetchall() == [(2,), (3,)]


def test_bytes_that_are_no_text_and_rows_can_be_read() -> None:
    batch = from_rows([{"device": "a", "n": 1}], [7])
    row = letter(1, form="row", data=encode_batch(batch))
    assert '"device": "a", "n": 1' in readable(row)
    assert readable(letter(1, data=b"a\xffb")) == "a\\xffb"
