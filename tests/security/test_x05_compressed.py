"""X5: what is small on the disk and large once it is unpacked is never unpacked all at once."""

from __future__ import annotations

import gzip
import zlib
from contextlib import aclosing
from pathlib import Path

import pytest

from edgestream.batch import Batch
from edgestream.component import Payloads
from edgestream.sources.file import File
from edgestream.testing.connectors import context
from tests.security.memory import grown

SIZE = 16 * 1024 * 1024


def bomb(path: Path, piece: bytes) -> None:
    """So much of the same, a thousand times smaller on the disk."""
    with gzip.open(path, "wb", 9) as file:
        for _ in range(SIZE // len(piece)):
            file.write(piece)
    assert path.stat().st_size < SIZE // 400


async def read(path: Path) -> tuple[int, int]:
    """How many rows came, and the longest payload."""
    source = File(path=str(path))
    await source.open(context("bomb"), None)
    count, longest = 0, 0
    async with aclosing(source.batches()) as batches:
        async for item in batches:
            count += len(item)
            if isinstance(item, Payloads):
                longest = max(longest, *map(len, item.payloads))
            assert isinstance(item, Payloads | Batch)
    await source.close()
    return count, longest


@pytest.mark.parametrize(
    ("name", "piece", "rows"),
    [
        ("one line.ndjson.gz", b"x" * 1024, 1),
        ("lines.ndjson.gz", b"x" * 1023 + b"\n", SIZE // 1024),
        ("empty lines.ndjson.gz", b"\n" * 64 + b" " * 959 + b"\n", SIZE // 1024),
        ("one cell.csv.gz", b"x" * 1024, 1),
        ("an open quote.csv.gz", b'"' + b"x" * 1022 + b"\n", None),
    ],
)
async def test_a_gzip_bomb_is_read_in_pieces(
    tmp_path: Path, name: str, piece: bytes, rows: int | None
) -> None:
    path = tmp_path / name
    bomb(path, piece)
    warm = tmp_path / f"warm {name}"
    warm.write_bytes(gzip.compress(b"a\n1\n" * 20_000))
    await read(warm)
    with grown() as memory:
        count, longest = await read(path)
    assert rows is None or count == rows
    assert longest <= 1024 * 1024 + 256 * 1024 + 1
    assert memory.kib < 8 * 1024


async def test_gzip_in_gzip_is_unpacked_once(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress(gzip.compress(zlib.compress(b"x" * 1024))))
    source = File(path=str(path))
    await source.open(context("bomb"), None)
    async with aclosing(source.batches()) as batches:
        items = [item async for item in batches]
    await source.close()
    given = b"\n".join(payload for item in items for payload in item.payloads)
    assert given.startswith(b"\x1f\x8b")
