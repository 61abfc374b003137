import asyncio
import csv
import gzip
import io
import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, concat
from edgestream.clock import SystemClock
from edgestream.component import Payloads, Position
from edgestream.errors import EXIT_CONFIG, EXIT_IO, ConfigError, Fatal
from edgestream.pieces import Pieces
from edgestream.sources.file import File
from edgestream.sources.items import MAX_PAYLOADS
from edgestream.sources.lines import CHUNK, MAX_LINE, failure
from edgestream.testing.connectors import context, counts

LINES = [b'{"n": %d}' % n for n in range(5000)]


async def read(
    source: File, resume: Position | None = None, most: int | None = None
) -> list[Payloads | Batch]:
    """The items of a source, at most so many of them; the source is closed."""
    items: list[Payloads | Batch] = []
    try:
        await source.open(context(), resume)
        async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
            async for item in batches:
                items += [item]
                if len(items) == most:
                    break
    finally:
        await source.close()
    return items


async def counted(source: File) -> tuple[list[tuple[Any, ...]], dict[str, float]]:
    """The rows of a CSV file, and what was counted."""
    ctx = context()
    await source.open(ctx, None)
    rows = [
        tuple(row.values())
        async for item in source.batches()
        if isinstance(item, Batch)
        for row in item.rows()
    ]
    await source.close()
    return rows, dict(counts(ctx))


def lines_of(items: list[Any]) -> list[bytes]:
    return [line for item in items for line in item.payloads]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.txt"])
async def test_every_line_comes_once_in_order(tmp_path, name):
    path = write(tmp_path / name, b"\n".join(LINES) + b"\n")
    source = File(path=str(path))
    await source.open(context(), None)
    items = [item async for item in source.batches()]
    assert lines_of(items) == LINES
    assert 2000 < max(map(len, items)) <= MAX_PAYLOADS
    assert all(item.received > 0 for item in items)
    size = path.stat().st_size
    assert source.total() == (size, size)
    assert source.position()["line"] == 5000
    await source.close()
    await source.close()


@pytest.mark.parametrize(
    ("data", "printable"),
    [
        (b"a\nb c\n", True),
        (b"\xc3\xa9\nb\n", False),
        (b"a\tb\nc\n", False),
        (b"a\x7f\nb\n", True),
    ],
)
async def test_lines_stay_where_they_were_read(tmp_path, data, printable):
    (item,) = await read(File(path=str(write(tmp_path / "a.txt", data))))
    assert isinstance(item.payloads, Pieces)
    assert item.payloads.printable == printable
    assert item.payloads == data.splitlines()


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
@pytest.mark.parametrize("last", [b"", b"\n"])
async def test_reading_goes_on_after_any_item(tmp_path, name, last):
    path = write(tmp_path / name, b"\xef\xbb\xbf" + b"\r\n".join(LINES) + last)
    whole = await read(File(path=str(path)))
    assert lines_of(whole) == LINES
    for most in range(1, len(whole) + 1):
        source = File(path=str(path))
        before = await read(source, most=most)
        after = await read(File(path=str(path)), source.position())
        assert lines_of(before) + lines_of(after) == LINES


async def test_empty_lines_are_skipped(tmp_path):
    path = write(tmp_path / "a.ndjson", b"\n\nA\n\r\n\nB\r\n\n")
    source = File(path=str(path))
    assert lines_of(await read(source)) == [b"A", b"B"]
    assert source.position()["offset"] == path.stat().st_size


@pytest.mark.parametrize("data", [b"", b"\n", b"x"])
async def test_small_files(tmp_path, data):
    path = write(tmp_path / "a.ndjson", data)
    source = File(path=str(path))
    assert lines_of(await read(source)) == data.split()
    assert lines_of(await read(File(path=str(path)), source.position())) == []


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
@pytest.mark.parametrize("size", [MAX_LINE, MAX_LINE + 1, MAX_LINE + CHUNK, 3 * MAX_LINE])
@pytest.mark.parametrize("end", [b"\n", b"\nz", b""])
async def test_a_line_that_is_too_long_is_cut_and_its_neighbours_are_whole(
    tmp_path, name, size, end
):
    path = write(tmp_path / name, b"a\n" + b"x" * size + end)
    source = File(path=str(path))
    got = lines_of(await read(source))
    assert got[0] == b"a"
    assert set(got[1]) == {ord("x")}
    assert min(size, MAX_LINE + 1) <= len(got[1]) <= MAX_LINE + CHUNK
    assert got[2:] == end.split()
    assert source.position()["offset"] == 2 + size + len(end)
    assert source.position()["line"] == 2 + len(end.split())


async def test_files_of_a_pattern_come_in_the_order_of_their_names(tmp_path):
    (tmp_path / "day").mkdir()
    for name, data in [("b.ndjson", b"3\n4"), ("a.ndjson", b"1\n2\n"), ("c.ndjson.gz", b"5\n")]:
        write(tmp_path / "day" / name, data)
    source = File(path=str(tmp_path / "*" / "*.ndjson*"))
    await source.open(context(), None)
    items = [item async for item in source.batches()]
    assert lines_of(items) == [b"1", b"2", b"3", b"4", b"5"]
    done, whole = source.total() or (0, 1)
    assert done == whole > 0
    await source.close()
    for most in range(1, len(items) + 1):
        again = File(path=str(tmp_path / "*" / "*.ndjson*"))
        before = await read(again, most=most)
        after = await read(again, again.position())
        assert lines_of(before + after) == [b"1", b"2", b"3", b"4", b"5"]


async def test_files_that_were_read_and_taken_away_do_no_harm(tmp_path):
    first = write(tmp_path / "a.ndjson", b"1\n")
    write(tmp_path / "b.ndjson", b"2\n")
    source = File(path=str(tmp_path / "*.ndjson"))
    await read(source, most=1)
    first.unlink()
    assert lines_of(await read(source, source.position())) == [b"2"]
    place = source.position()
    (tmp_path / "b.ndjson").unlink()
    assert await read(File(path=str(tmp_path / "*.ndjson")), place) == []


@pytest.mark.parametrize("other", [b"", b"1\n", b"1\n9\n3\n", b"9\n2\n3\n4\n5\n"])
async def test_a_changed_file_is_told(tmp_path, other):
    path = write(tmp_path / "a.ndjson", b"1\n2\n")
    source = File(path=str(path))
    await read(source)
    write(path, other)
    with pytest.raises(Fatal, match=r"was changed.*new state") as caught:
        await read(File(path=str(path)), source.position())
    assert caught.value.exit_code == EXIT_CONFIG


async def test_a_file_that_only_grew_is_read_on(tmp_path):
    path = write(tmp_path / "a.ndjson", b"1\n2\n")
    source = File(path=str(path))
    await read(source)
    write(path, b"1\n2\n3\n")
    assert lines_of(await read(File(path=str(path)), source.position())) == [b"3"]


@pytest.mark.parametrize(
    ("make", "pattern", "words", "code"),
    [
        (lambda path: None, "a.ndjson", "no file matches", EXIT_CONFIG),
        (lambda path: None, "*.ndjson", "no file matches", EXIT_CONFIG),
        (lambda path: path.mkdir(), "a.ndjson", "is a folder", EXIT_CONFIG),
    ],
)
async def test_what_cannot_be_read_is_told(tmp_path, make, pattern, words, code):
    make(tmp_path / "a.ndjson")
    with pytest.raises(Fatal, match=words) as caught:
        await read(File(path=str(tmp_path / pattern)))
    assert caught.value.exit_code == code


async def test_a_relative_path_is_told_with_the_folder_it_is_looked_up_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Fatal, match=f"a.ndjson; .* working directory {tmp_path}"):
        await read(File(path="a.ndjson"))


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (PermissionError(13, "Permission denied"), "give this user read permission", 77),
        (FileNotFoundError(2, "No such file"), "there is no file a", EXIT_CONFIG),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error", EXIT_IO),
    ],
)
def test_errors_of_the_system_are_told(error, words, code):
    told = failure(Path("a"), error)
    assert words in str(told)
    assert told.exit_code == code


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: b"no gzip at all"])
async def test_damaged_gzip_is_told(tmp_path, damage):
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(4000).hex().encode() + b"\n")))
    with pytest.raises(Fatal, match="cannot be read") as caught:
        await read(File(path=str(path)))
    assert caught.value.exit_code == EXIT_IO


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"path": "a.gz", "follow": True}, "cannot be followed"),
        ({"path": "a", "delimiter": "::"}, "single sign"),
        ({"path": "a", "encoding": "utf-16"}, "cannot be read"),
        ({"path": "a", "encoding": "klingon"}, "cannot be read"),
        ({"path": "a", "format": "xml"}, "not one of the choices"),
        ({"path": "a", "speed": -1}, "at least 0"),
    ],
)
def test_wrong_settings_are_told(fields, words):
    with pytest.raises(ConfigError, match=words):
        File(**fields)


def test_speed_is_there_for_the_runtime():
    assert File(path="a").speed == 0
    assert File(path="a", speed=2).speed == 2.0


# Following: these use the machine's clock with a short pause between two looks.


class Follower:
    """A followed file whose lines are collected in the background."""

    def __init__(self, path: Path | str, resume: Position | None = None) -> None:
        self.source = File(path=str(path), follow=True, poll="1ms")
        self.resume = resume
        self.got: list[bytes] = []

    async def __aenter__(self) -> "Follower":
        await self.source.open(context(clock=SystemClock()), self.resume)
        self.task = asyncio.create_task(self.collect())
        return self

    async def collect(self) -> None:
        async for item in self.source.batches():
            assert isinstance(item, Payloads)
            self.got += item.payloads

    async def wait_for(self, count: int) -> list[bytes]:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        return self.got

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await self.source.close()


async def test_following_waits_for_the_file_and_for_whole_lines(tmp_path):
    path = tmp_path / "a.ndjson"
    async with Follower(path) as follower:
        assert follower.source.total() is None
        with path.open("ab", buffering=0) as file:
            file.write(b"1\n2")
            assert await follower.wait_for(1) == [b"1"]
            file.write(b"2\n")
            assert await follower.wait_for(2) == [b"1", b"22"]


async def test_a_renamed_file_is_read_to_its_end_before_the_new_one(tmp_path):
    path = write(tmp_path / "a.log", b"1\n")
    async with Follower(path) as follower:
        await follower.wait_for(1)
        with path.open("ab", buffering=0) as file:
            path.rename(tmp_path / "a.log.1")
            file.write(b"2\n3")
            await follower.wait_for(2)
        write(path, b"4\n")
        assert await follower.wait_for(4) == [b"1", b"2", b"3", b"4"]
        assert follower.source.position()["line"] == 1


async def test_a_file_cut_short_in_place_is_read_from_its_start(tmp_path):
    path = write(tmp_path / "a.log", b"1\n2\n3\n")
    async with Follower(path) as follower:
        await follower.wait_for(3)
        write(path, b"4\n")
        assert await follower.wait_for(4) == [b"1", b"2", b"3", b"4"]


async def test_following_a_pattern_goes_on_with_the_next_file(tmp_path):
    write(tmp_path / "a.ndjson", b"1\n")
    async with Follower(tmp_path / "*.ndjson") as follower:
        await follower.wait_for(1)
        write(tmp_path / "b.ndjson", b"2\n")
        await follower.wait_for(2)
        with (tmp_path / "b.ndjson").open("ab") as file:
            file.write(b"3\n")
        assert await follower.wait_for(3) == [b"1", b"2", b"3"]


async def test_a_file_renamed_while_nobody_followed_is_found_again(tmp_path):
    path = write(tmp_path / "a.log", b"1\n")
    async with Follower(path) as follower:
        await follower.wait_for(1)
        place = follower.source.position()
    write(path, b"1\n2\n").rename(tmp_path / "a.log.1")
    write(path, b"3\n")
    async with Follower(path, place) as follower:
        assert await follower.wait_for(2) == [b"2", b"3"]


async def test_a_followed_file_that_was_replaced_is_read_with_a_warning(tmp_path, caplog):
    path = write(tmp_path / "a.log", b"1\n")
    async with Follower(path) as follower:
        await follower.wait_for(1)
        place = follower.source.position()
    write(path, b"8\n9\n")
    async with Follower(path, place) as follower:
        assert await follower.wait_for(2) == [b"8", b"9"]
    assert "was replaced" in caplog.text


# CSV


async def table(tmp_path: Path, data: str | bytes, name: str = "a.csv", **fields: Any) -> Batch:
    path = write(tmp_path / name, data.encode() if isinstance(data, str) else data)
    items = await read(File(path=str(path), **fields))
    return concat([item for item in items if isinstance(item, Batch)])


async def test_csv_columns_have_kinds(tmp_path):
    batch = await table(tmp_path, "device,n,t,gap,zip,void\na,1,2.5,,007,\nb,-2,3,4,008,\n")
    assert batch.rows() == [
        {"device": "a", "n": 1, "t": 2.5, "gap": None, "zip": "007", "void": None},
        {"device": "b", "n": -2, "t": 3.0, "gap": 4.0, "zip": "008", "void": None},
    ]
    kinds = {name: getattr(column, "dtype", "text") for name, column in batch.columns.items()}
    assert kinds == {
        "device": "text",
        "n": "int64",
        "t": "float64",
        "gap": "float64",
        "zip": "text",
        "void": "float64",
    }
    assert (batch.times > 0).all()


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("+5", 5),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", "9223372036854775808"),
        ("007", "007"),
        ("-01.5", "-01.5"),
        ("1_000", "1_000"),
        ("nan", "nan"),
        ("Infinity", "Infinity"),
        ("٣", "٣"),
        ("12:30", "12:30"),
        ("true", "true"),
    ],
)
async def test_only_plain_numbers_are_numbers(tmp_path, cell, value):
    batch = await table(tmp_path, f"x\n{cell}\n")
    assert batch.rows() == [{"x": value}]
    assert type(batch.rows()[0]["x"]) is type(value)


async def test_a_column_only_ever_gets_wider(tmp_path):
    rows = ["1"] * 2500 + ["1.5"] + ["2"] * 5000 + ["x"] + ["3"] * 5000
    path = write(tmp_path / "a.csv", ("v\n" + "\n".join(rows)).encode())
    source = File(path=str(path))
    items = await read(source)
    kinds = ["text" if isinstance(b["v"], Strings) else b["v"].dtype.kind for b in items]
    assert kinds == sorted(kinds, key=["i", "f", "text"].index)
    assert set(kinds) == {"i", "f", "text"}
    for most in range(1, len(items)):
        first = File(path=str(path))
        await read(first, most=most)
        rest = await read(File(path=str(path)), first.position())
        assert [b.rows() for b in rest] == [b.rows() for b in items[most:]]


async def test_kinds_may_be_given(tmp_path):
    fields: dict[str, Any] = {"kinds": {"id": "string", "t": "float"}}
    source = File(path=str(write(tmp_path / "a.csv", b"id,t\n1,2\n2,broken\n3,\n")), **fields)
    assert await counted(source) == (
        [("1", 2.0), ("2", None), ("3", None)],
        {"bad_cells": 1},
    )
    assert source.schema().fields == {"id": "string", "t": "float"}
    assert source.schema().open


async def test_quoted_cells_may_hold_anything(tmp_path):
    text = 'a;b\r\n"x;y";"1\n2"\r\n"say ""hi""";\r\n'
    batch = await table(tmp_path, "\ufeff" + text, delimiter=";")
    assert batch.rows() == [{"a": "x;y", "b": "1\n2"}, {"a": 'say "hi"', "b": None}]


async def test_records_over_the_border_of_a_piece_stay_whole(tmp_path):
    rows = [f'{n},"first\nsecond {n}\n"' for n in range(30_000)]
    path = write(tmp_path / "a.csv.gz", ("n,text\n" + "\n".join(rows) + "\n").encode())
    source = File(path=str(path))
    items = await read(source)
    batch = concat(items)
    assert batch["n"].tolist() == list(range(30_000))
    assert batch["text"].to_list()[-1] == "first\nsecond 29999\n"
    for most in (1, 7, len(items) - 1):
        first = File(path=str(path))
        await read(first, most=most)
        rest = await read(File(path=str(path)), first.position())
        assert concat(rest)["n"].tolist() == batch["n"].tolist()[sum(map(len, items[:most])) :]


@pytest.mark.parametrize(
    ("data", "rows", "found"),
    [
        ("a,b\n1\n1,2,3\n1,2\n", [(1, None), (1, 2), (1, 2)], {"ragged_rows": 2}),
        ('a\nx\n"y\nz\n', [("x",), ("z",)], {"bad_lines": 1}),
        (f"a\nx\n{'y' * (MAX_LINE + CHUNK * 2)}\nz\n", [("x",), ("z",)], {"bad_lines": 1}),
        (f"a\nx\n{'y' * 200_000}\nz\n", [("x",), ("z",)], {"bad_lines": 1}),
        (b"a\n\xffy\n", [("�y",)], {"bad_text": 1}),
        ("a\n", [], {}),
        ("\n\na\n\n1\n\n", [(1,)], {}),
        ("", [], {}),
    ],
)
async def test_bad_csv_is_counted_and_its_neighbours_stay(tmp_path, data, rows, found):
    path = write(tmp_path / "a.csv", data.encode() if isinstance(data, str) else data)
    source = File(path=str(path))
    assert await counted(source) == (rows, found)
    assert source.position()["offset"] == path.stat().st_size


TOO_LONG = "field larger than field limit (131072)"
LONG = "y" * 200_000
DAMAGED = f'a\nx\n{LONG}\n{LONG}\nz\nv\n{LONG}\nu\n"w'


async def test_lines_that_are_no_rows_become_dead_letters_with_their_place(tmp_path):
    path = write(tmp_path / "a.csv", DAMAGED.encode())
    items = await read(File(path=str(path)))
    found = [
        one
        for item in items
        for one in (
            item["a"].to_list()
            if isinstance(item, Batch)
            else zip(item.payloads, item.refused.values(), strict=True)
        )
    ]
    assert found == [
        "x",
        (LONG.encode(), f"line 3: {TOO_LONG}"),
        (LONG.encode(), f"line 4: {TOO_LONG}"),
        "z",
        "v",
        (LONG.encode(), f"line 7: {TOO_LONG}"),
        "u",
        (b'"w', "line 9: a quote is opened and not closed"),
    ]


@pytest.mark.parametrize("most", range(1, 6))
async def test_no_row_and_no_bad_line_comes_twice_wherever_reading_stops(tmp_path, most):
    def all_of(items):
        rows = [row["a"] for item in items if isinstance(item, Batch) for row in item.rows()]
        return rows, [x for item in items if not isinstance(item, Batch) for x in item.payloads]

    path = write(tmp_path / "a.csv", DAMAGED.encode())
    source = File(path=str(path))
    first = await read(source, most=most)
    rest = await read(File(path=str(path)), source.position())
    assert all_of(first + rest) == all_of(await read(File(path=str(path))))


async def test_an_open_quote_does_not_hold_the_rest_of_the_file(tmp_path):
    rows = "\n".join(str(n) for n in range(300_000))
    batch = await table(tmp_path, f'n\n"1\n{rows}\n')
    assert batch["n"].tolist() == list(range(300_000))


async def test_headers_are_made_unique(tmp_path):
    batch = await table(tmp_path, "a,,a, b\n1,2,3,4\n")
    assert list(batch.columns) == ["a", "column_2", "a_3", "b"]


@pytest.mark.parametrize("end", ["\r", "x" * 140_000])
async def test_a_header_that_is_no_csv_is_cut_at_its_delimiters(tmp_path, end):
    batch = await table(tmp_path, f"a,b\r,{end},c\n1,2,3,4\n")
    assert list(batch.columns) == ["a", "b", end.strip() or "column_3", "c"]


async def test_other_encodings(tmp_path):
    batch = await table(tmp_path, "ort\nKöln\n".encode("latin-1"), encoding="latin-1")
    assert batch["ort"].to_list() == ["Köln"]


async def test_the_format_can_be_said(tmp_path):
    assert len(await table(tmp_path, "a\n1\n", "data.txt", format="csv")) == 1
    path = write(tmp_path / "b.csv", b"a\n1\n")
    assert lines_of(await read(File(path=str(path), format="ndjson"))) == [b"a", b"1"]


CELLS = st.text(st.sampled_from('ab,;"\n 0'), max_size=5)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
async def test_csv_written_by_the_csv_module_comes_back(tmp_path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("a", "b"), *rows])
    kinds: dict[str, Any] = {"a": "string", "b": "string"}
    batch = await table(tmp_path, text.getvalue(), kinds=kinds)
    assert [(r["a"] or "", r["b"] or "") for r in batch.rows()] == rows
