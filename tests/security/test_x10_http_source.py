"""X4, X5, X10 for the HTTP source: what a hostile sender gets is a status, and nothing else.

What no honest client sends (two lengths, huge headers, slow and silent peers) is in
tests/connectors/http; here is what unpacks, what nests, and what comes from a browser.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from pathlib import Path

import pytest

from edgestream import Http
from tests.connectors.http.test_source import JSON, LINES, TOKEN, hook, request, row
from tests.security.memory import grown

DEEP = b"[" * 100_000 + b"]" * 100_000
EVENT = b'{"specversion":"1.0","source":"a","id":"1","type":"t","data":%s}'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"a":' + DEEP + b"}"),
        ("application/json", b"[" + DEEP + b"]"),
        ("application/x-ndjson", row(1) + b'\n{"a":' + DEEP + b"}\n" + row(2)),
        ("application/cloudevents+json", EVENT % DEEP),
        ("application/cloudevents-batch+json", b"[" + EVENT % DEEP + b"]"),
    ],
)
async def test_a_deep_body_is_answered(
    tmp_path: Path, kind: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "asyncio"):
        async with hook(tmp_path) as made:
            status, words, _ = await made.post(body, {"Content-Type": kind})
            assert status == 400
            assert "nested too deep" in words or "JSON" in words
            assert (await made.post(row(3)))[0] == 202
    assert caplog.records == []
    assert [got["n"] for got in made.table.rows] == [3]


async def test_what_waits_is_weighed_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty requests of 2 KiB that unpack to 1 MiB each: most are told to come again."""
    body = gzip.compress(b'{"ts":1,"n":1,"s":"' + b"x" * 1_000_000 + b'"}')
    assert len(body) < 2_048
    async with hook(tmp_path, max_held="4MiB") as made:
        held = asyncio.Event()
        commit = Http.commit

        async def late(self: Http, items: int) -> None:
            await held.wait()
            await commit(self, items)

        monkeypatch.setattr(Http, "commit", late)
        head = {**JSON, "Content-Encoding": "gzip"}
        with grown() as memory:
            asked = [asyncio.create_task(made.post(body, head)) for _ in range(40)]
            while sum(task.done() for task in asked) < 36:
                await asyncio.sleep(0.01)
        assert memory.kib < 32 * 1024
        held.set()
        statuses = [status for status, _, _ in await asyncio.gather(*asked)]
    assert sorted(set(statuses)) == [202, 429]
    assert statuses.count(202) == 4


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8080"])
async def test_a_web_page_sends_nothing_without_a_token(tmp_path: Path, origin: str) -> None:
    """By a form, or by a name of its own that was pointed to this machine (DNS rebinding)."""
    async with hook(tmp_path) as made:
        status, words, _ = await made.post(row(1), {**JSON, "Origin": origin})
        assert status == 403
        assert "only with a token" in words
        form = {"Content-Type": "text/plain"}
        assert (await made.post(row(1), form))[0] == 415
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        status, _, headers = await made.post(b"", preflight, method="OPTIONS")
        assert status in (403, 405)
        assert not [name for name in headers if name.lower().startswith("access-control")]
        assert (await made.post(row(2), LINES))[0] == 202
    assert [got["n"] for got in made.table.rows] == [2]


async def test_with_a_token_a_web_page_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST", TOKEN)
    async with hook(tmp_path, token="${INGEST}") as made:
        page = {**JSON, "Origin": "http://plant.example"}
        assert (await made.post(row(1), page))[0] == 401
        wrong = {**page, "Authorization": f"Bearer {TOKEN[:-1]}x"}
        assert (await made.post(row(1), wrong))[0] == 401
        right = {**page, "Authorization": f"Bearer {TOKEN}"}
        assert (await made.post(row(2), right))[0] == 202
    assert [got["n"] for got in made.table.rows] == [2]


async def test_rows_hidden_behind_a_request_are_not_taken(tmp_path: Path) -> None:
    """Smuggling: where two programs could disagree about the end of a body, nothing is taken."""
    inner = request(row(9))
    length = len(inner)
    async with hook(tmp_path) as made:
        for lines in (
            (f"Content-Length: {length}", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", f"Content-Length: {length}"),
            ("Transfer-Encoding: xchunked",),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
            ("Transfer-Encoding : chunked",),
            (f"Content-Length: +{length}",),
            (f"Content-Length: {length}, 0",),
            ("Content-Length: 0\rX: y",),
        ):
            head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            head += "\r\n".join(lines).encode() + b"\r\n\r\n"
            answer = await made.bare(head + b"0\r\n\r\n" + inner)
            assert answer[9:12] in (b"400", b"501"), (lines, answer)
            assert answer.count(b"HTTP/1.1") == 1, (lines, answer)
    assert made.table.rows == []
