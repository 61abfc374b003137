import csv
import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows
from edgestream.component import Token
from edgestream.errors import (
    EXIT_CONFIG,
    EXIT_IO,
    EXIT_PERMISSION,
    Disconnected,
    Fatal,
    Held,
    Rejected,
    Retry,
)
from edgestream.sinks import output
from edgestream.sinks.disk import in_words
from edgestream.sinks.file import FileSink
from edgestream.testing.connectors import SINK_BEHAVIOURS, SinkCase, batch, context

NAMES = ["out.ndjson", "out.ndjson.gz", "out.csv", "out.csv.gz"]


def read(path: Path) -> list[dict[str, Any]]:
    """What another program sees, as text."""
    if not path.exists():
        return []
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.decode().splitlines()
    if ".csv" in path.name:
        return list(csv.DictReader(lines))
    return [json.loads(line) for line in lines]


def numbers(path: Path) -> list[int]:
    return [int(row["n"]) for row in read(path)]


async def store(sink: FileSink, *batches: Batch, seq: int | None = None) -> Token | None:
    """Open, write, flush, close; the token that was found."""
    token = await sink.open(context())
    try:
        for each in batches:
            await sink.write(each)
        await sink.flush(Token("s", seq) if seq is not None else None)
    finally:
        await sink.close()
    return token


def with_text(texts: list[str | None]) -> Batch:
    made = batch(list(range(1, len(texts) + 1)))
    return Batch({**made.columns, "note": Strings.of(texts)}, made.times, made.keys)


# A file can only be appended to, so keys mean nothing to it.
APPENDING = [
    behaviour
    for behaviour in SINK_BEHAVIOURS
    if behaviour.__name__ not in ("takes_a_batch_twice", "keeps_the_last_of_a_key")
]


@pytest.mark.parametrize("behaviour", APPENDING, ids=lambda behaviour: behaviour.__name__)
@pytest.mark.parametrize("name", NAMES)
async def test_kit(tmp_path, behaviour, name):
    if "csv" in name and behaviour.__name__ == "takes_new_columns":
        return  # See test_csv_keeps_its_columns.
    case = SinkCase(
        lambda place: FileSink(path=str(tmp_path / f"{place}.{name}")),
        lambda place: read(tmp_path / f"{place}.{name}"),
        refused=(with_text(["fine", "\ud800", "half \udfff"]), frozenset({1, 2})),
    )
    await behaviour(case, "place")


@pytest.mark.parametrize("name", NAMES)
async def test_what_was_not_committed_is_cut_off(tmp_path, name):
    path = tmp_path / name
    await store(FileSink(path=str(path)), batch([1]), seq=1)
    await store(FileSink(path=str(path)), batch([2]), seq=2)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b"half a row")
    sink = FileSink(path=str(path))
    assert await store(sink, batch([3]), seq=3) == Token("s", 2)
    assert path.read_bytes().startswith(whole)
    assert numbers(path) == [1, 2, 3]


@pytest.mark.parametrize("name", NAMES)
async def test_rows_too_many_for_memory_are_cut_off_as_well(tmp_path, name, monkeypatch):
    monkeypatch.setattr(output, "SPILL", 10)
    path = tmp_path / name
    random = Strings.of(np.random.default_rng(1).bytes(60_000).hex().split("0"))
    many = Batch(
        {"n": np.ones(len(random), np.int64), "x": random}, np.zeros(len(random), np.int64)
    )
    sink = FileSink(path=str(path))
    await sink.open(context())
    await sink.write(many)
    await sink.write(many)
    assert path.stat().st_size > 10
    await sink.close()
    assert await store(FileSink(path=str(path)), many, seq=1) is None
    assert len(read(path)) == len(many)


@pytest.mark.parametrize("data", ['{"n": 1}', '{"n": 1}\n'])
async def test_a_file_that_was_there_is_appended_to(tmp_path, data):
    path = tmp_path / "out.ndjson"
    path.write_text(data)
    await store(FileSink(path=str(path)), batch([2]), seq=1)
    assert numbers(path) == [1, 2]


async def test_what_was_there_is_not_cut_off_by_a_crash_before_the_first_commit(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(output, "SPILL", 10)
    path = tmp_path / "out.ndjson"
    path.write_text('{"n": 1}\n')
    sink = FileSink(path=str(path))
    await sink.open(context())
    await sink.write(batch([2]))
    await sink.write(batch([3]))
    await sink.close()
    await store(FileSink(path=str(path)), batch([2]), seq=1)
    assert numbers(path) == [1, 2]


async def test_csv_goes_on_under_the_header_that_is_there(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("b,a\n1,2\n")
    await store(FileSink(path=str(path)), from_rows([{"a": 3, "b": 4}, {"a": 5}]), seq=1)
    assert path.read_text() == "b,a\n1,2\n4.0,3\n,5\n"


async def test_csv_keeps_its_columns(tmp_path):
    path = tmp_path / "out.csv"
    sink = FileSink(path=str(path))
    await store(sink, from_rows([{"a": 1, "b": "x"}]), seq=1)
    await sink.open(context())
    late = from_rows([{"a": 2}, {"a": 3, "wind": 1.5}, {"a": 4, "b": "y"}])
    with pytest.raises(Rejected, match="has no column 'wind'") as caught:
        await sink.write(late)
    assert set(caught.value.reasons) == {1}
    await sink.flush(Token("s", 2))
    await sink.close()
    assert path.read_text() == "a,b\n1,x\n2,\n4,y\n"


async def test_values_as_csv(tmp_path):
    path = tmp_path / "out.txt"
    times = np.array([1_795_514_400_000_000, np.iinfo(np.int64).min], "datetime64[us]")
    made = from_rows(
        [
            {"f": 1.5, "i": 1, "b": True, "s": 'a "quoted", b\nc', "t": 0},
            {"f": None, "i": 2, "b": False, "s": None, "t": 0},
        ]
    ).with_columns(t=times)
    await store(FileSink(path=str(path), format="csv"), made)
    lines = path.read_text().split("\n", 1)
    assert lines[0] == "f,i,b,s,t"
    assert list(csv.reader(lines[1].splitlines(keepends=True))) == [
        ["1.5", "1", "true", 'a "quoted", b\nc', "2026-11-24T10:00:00Z"],
        ["", "2", "false", "", ""],
    ]


async def test_each_flush_ends_a_gzip_member(tmp_path):
    path = tmp_path / "out.ndjson.gz"
    sink = FileSink(path=str(path))
    await sink.open(context())
    for seq in range(1, 4):
        await sink.write(batch([seq]))
        await sink.flush(Token("s", seq))
        assert numbers(path) == list(range(1, seq + 1))
        told = json.loads((tmp_path / "out.ndjson.gz.commit").read_text())
        assert told["size"] == path.stat().st_size
        assert told["tokens"] == {context().id: {"store": "s", "seq": seq, "epoch": 0}}
    await sink.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spill", [0, 10**6])
async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path, name, spill, caplog, monkeypatch):
    monkeypatch.setattr(output, "SPILL", spill)
    path = tmp_path / name
    sink = FileSink(path=str(path))
    await sink.open(context())
    await sink.write(batch([1]))
    await sink.flush(Token("s", 1))
    await sink.write(batch([2]))
    await sink.write(batch([3]))
    moved = path.rename(tmp_path / f"old.{name}")
    with pytest.raises(Disconnected, match="moved away"):
        await sink.flush(Token("s", 2))
    assert await sink.open(context()) == Token("s", 1)
    assert "begins anew" in caplog.text
    await sink.write(batch([2]))
    await sink.flush(Token("s", 2))
    await sink.close()
    assert numbers(moved) == [1]
    assert numbers(path) == [2]
    assert await store(FileSink(path=str(path)), batch([3]), seq=3) == Token("s", 2)
    assert numbers(path) == [2, 3]


async def test_a_file_changed_by_another_program_is_told(tmp_path):
    path = tmp_path / "out.ndjson"
    sink = FileSink(path=str(path))
    await sink.open(context())
    await sink.write(batch([1, 2]))
    await sink.flush(Token("s", 1))
    await sink.write(batch([3]))
    path.write_text("x")
    with pytest.raises(Disconnected, match="changed by another program"):
        await sink.flush(Token("s", 2))
    with pytest.raises(Fatal, match=r"has 1 bytes but \d+ were committed") as caught:
        await sink.open(context())
    await sink.close()
    assert caught.value.exit_code == EXIT_CONFIG


async def test_two_writers_of_one_file_are_kept_apart(tmp_path):
    path = tmp_path / "out.ndjson"
    first, second = FileSink(path=str(path)), FileSink(path=str(path))
    await first.open(context())
    with pytest.raises(Held, match="another process"):
        await second.open(context("other"))
    await first.close()
    assert await second.open(context("other")) is None
    await second.close()


@pytest.mark.parametrize("text", ["", "{", '{"size": "x"}', "[]", '{"size": 1, "tokens": 1}'])
async def test_a_damaged_commit_file_is_told(tmp_path, text):
    (tmp_path / "out.ndjson.commit").write_text(text)
    with pytest.raises(Fatal, match=r"out\.ndjson\.commit is damaged; remove it"):
        await store(FileSink(path=str(tmp_path / "out.ndjson")))


@pytest.mark.parametrize(
    ("place", "words"), [("none/out.csv", "no folder"), ("folder", "is a folder")]
)
async def test_a_place_that_cannot_be_is_told(tmp_path, place, words):
    (tmp_path / "folder").mkdir()
    with pytest.raises(Fatal, match=words) as caught:
        await store(FileSink(path=str(tmp_path / place)), batch([1]))
    assert caught.value.exit_code == EXIT_CONFIG


async def test_a_full_disk_is_waited_for_and_nothing_is_there_twice(tmp_path, monkeypatch):
    path = tmp_path / "out.ndjson"
    sink = FileSink(path=str(path))
    await sink.open(context())
    await sink.write(batch([1]))
    await sink.flush(Token("s", 1))
    whole = path.read_bytes()
    await sink.write(batch([2]))
    real = os.pwrite
    calls = []

    def full(fd: int, data: memoryview, offset: int) -> int:
        calls.append(offset)
        if len(calls) % 2:
            return real(fd, data[:5], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(2):
        with pytest.raises(Retry, match="disk full"):
            await sink.flush(Token("s", 2))
        assert path.read_bytes() == whole
    monkeypatch.setattr(os, "pwrite", real)
    await sink.flush(Token("s", 2))
    await sink.close()
    assert numbers(path) == [1, 2]


async def test_a_failed_fsync_stops_the_pipeline(tmp_path, monkeypatch):
    sink = FileSink(path=str(tmp_path / "out.ndjson"))
    await sink.open(context())
    await sink.write(batch([1]))

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Fatal, match="could not be forced to the disk") as caught:
        await sink.flush(Token("s", 1))
    monkeypatch.undo()
    await sink.close()
    assert caught.value.exit_code == EXIT_IO


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (errno.ENOSPC, Retry, 1),
        (errno.EDQUOT, Retry, 1),
        (errno.EACCES, Fatal, EXIT_PERMISSION),
        (errno.EROFS, Fatal, EXIT_PERMISSION),
        (errno.ENOENT, Fatal, EXIT_CONFIG),
        (errno.EIO, Fatal, EXIT_IO),
    ],
)
def test_every_error_has_a_consequence(tmp_path, code, kind, exit_code):
    told = in_words(OSError(code, os.strerror(code)), str(tmp_path / "x"))
    assert type(told) is kind
    assert told.exit_code == exit_code


async def test_before_it_is_open_it_says_so(tmp_path):
    sink = FileSink(path=str(tmp_path / "x"))
    with pytest.raises(Disconnected, match="not open"):
        await sink.write(batch([1]))


STEPS = st.lists(st.sampled_from(["write", "flush", "crash"]), max_size=20)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, name=st.sampled_from(NAMES), spill=st.sampled_from([0, 10**6]))
async def test_any_order_of_writes_flushes_and_crashes_gives_each_row_once(
    tmp_path, monkeypatch, steps, name, spill
):
    monkeypatch.setattr(output, "SPILL", spill)
    path = tmp_path / name
    for old in tmp_path.iterdir():
        old.unlink()
    sink = FileSink(path=str(path))
    await sink.open(context())
    committed, written = 0, 0
    for step in [*steps, "crash"]:
        if step == "write":
            written += 1
            await sink.write(batch([written]))
        elif step == "flush":
            await sink.flush(Token("s", written))
            committed = written
        else:
            await sink.close()
            sink = FileSink(path=str(path))
            token = await sink.open(context())
            assert (token.seq if token else 0) == committed
            assert numbers(path) == list(range(1, committed + 1))
            written = committed
    await sink.close()


async def test_another_file_in_its_place_is_told_and_left_as_it_is(tmp_path):
    path = tmp_path / "out.ndjson"
    await store(FileSink(path=str(path)), batch([1]), seq=1)
    other = b"".join(b"line %d of something else\n" % number for number in range(9))
    path.write_bytes(other)
    with pytest.raises(Fatal, match="changed by another program: what stands before") as caught:
        await store(FileSink(path=str(path)), batch([2]), seq=2)
    assert caught.value.exit_code == EXIT_CONFIG
    assert path.read_bytes() == other


async def test_a_digit_that_changed_in_the_token_is_told(tmp_path):
    path = tmp_path / "out.ndjson"
    await store(FileSink(path=str(path)), batch([1]), seq=1)
    commit = tmp_path / "out.ndjson.commit"
    commit.write_text(commit.read_text().replace('"seq": 1', '"seq": 3'))
    with pytest.raises(Fatal, match="is not what was committed"):
        await store(FileSink(path=str(path)), batch([2]), seq=2)


async def test_what_is_cut_off_is_told(tmp_path, caplog):
    path = tmp_path / "out.ndjson"
    await store(FileSink(path=str(path)), batch([1]), seq=1)
    assert "cut off" not in caplog.text
    with path.open("ab") as file:
        file.write(b"half a row")
    await store(FileSink(path=str(path)), batch([2]), seq=2)
    assert "10 bytes that were not committed are cut off" in caplog.text


async def test_a_commit_of_before_there_was_a_checksum_is_taken(tmp_path):
    path = tmp_path / "out.ndjson"
    path.write_text('{"n": 1}\nhalf')
    tokens = {context().id: {"store": "s", "seq": 1}}
    (tmp_path / "out.ndjson.commit").write_text(json.dumps({"size": 9, "tokens": tokens}))
    assert await store(FileSink(path=str(path)), batch([2]), seq=2) == Token("s", 1)
    assert numbers(path) == [1, 2]


@pytest.mark.parametrize("seq", [None, 1])
async def test_a_commit_that_found_no_room_is_made_by_the_next_flush(tmp_path, monkeypatch, seq):
    path = tmp_path / "out.ndjson"
    token = None if seq is None else Token("s", seq)
    sink = FileSink(path=str(path))
    await sink.open(context())
    await sink.write(batch([1]))

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Retry, match="disk full"):
        await sink.flush(token)
    monkeypatch.undo()
    await sink.flush(token)
    await sink.close()
    assert await store(FileSink(path=str(path)), batch([2]), seq=2) == token
    assert numbers(path) == [1, 2]


@pytest.mark.parametrize("damage", [b"n,x\n1,2\n", gzip.compress(b"n,x\n1,2\n")[:12]])
async def test_a_damaged_csv_file_that_was_there_is_told(tmp_path, damage):
    path = tmp_path / "out.csv.gz"
    path.write_bytes(damage)
    with pytest.raises(Fatal, match=r"out\.csv\.gz is damaged: its column names"):
        await store(FileSink(path=str(path)), batch([1]), seq=1)
    assert path.read_bytes() == damage
