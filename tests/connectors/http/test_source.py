"""The source against real clients: http.client, curl, and bare sockets for what no client sends."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgestream import Http, Secret
from edgestream.clock import SystemClock
from edgestream.component import Sink
from edgestream.errors import ConfigError, Disconnected, Fatal
from edgestream.eventtime import Time
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec
from edgestream.testing.connectors import check_source, context
from edgestream_connectors.http import ServerTls
from tests.runtime.parts import Memory, Table
from tests.servers.mosquitto import Certificates
from tests.servers.process import find, free_port

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
TOKEN = "0123456789abcdef-token"


def spec_of(source: Http, sink: Sink, delivery: Any = None) -> PipelineSpec:
    when = Time("ts", unit="ms")
    sources = {"source": SourceSpec(source, None, when)}
    return PipelineSpec("hook", sources, {}, {"sink": SinkSpec(("source",), sink)}, delivery)


class Hook:
    """A running pipeline with an HTTP source on a free port."""

    def __init__(self, folder: Path, delivery: Any = None, **options: Any) -> None:
        self.port = free_port()
        self.table = Table()
        source = Http(f"127.0.0.1:{self.port}", **{"linger": "1ms"} | options)
        spec = spec_of(source, Memory(self.table), delivery)
        self.running = Running(spec, folder, SystemClock())
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Hook:
        self.task = asyncio.create_task(self.running.run(grace=2))
        await until(lambda: self.running.state == "running" and self.status() == "connected")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.running.stop()
        await asyncio.wait_for(self.task, 20)

    def status(self) -> str:
        return self.running.readers["source"].status.state

    @property
    def source(self) -> Http:
        found = self.running.graph.entries["source"].component
        assert isinstance(found, Http)
        return found

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str] = JSON,
        path: str = "/",
        method: str = "POST",
    ) -> tuple[int, str, Mapping[str, str]]:
        """(status, words, headers) of one request by http.client."""

        def ask() -> tuple[int, str, Mapping[str, str]]:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                client.request(method, path, body, dict(headers))
                answer = client.getresponse()
                return answer.status, answer.read().decode(), dict(answer.headers)
            finally:
                client.close()

        return await asyncio.to_thread(ask)

    async def bare(self, data: bytes, *, whole: bool = True) -> bytes:
        """What comes back for these bytes, up to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        if whole:
            writer.write_eof()
        async with asyncio.timeout(20):
            answer = await reader.read(-1)
        writer.close()
        return answer


async def until(condition: Any, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def hook(folder: Path, delivery: Any = None, **options: Any) -> AsyncIterator[Hook]:
    async with Hook(folder, delivery, **options) as made:
        yield made


def row(n: int, **more: object) -> bytes:
    return json.dumps({"n": n, "ts": 1_700_000_000_000, **more}).encode()


def request(body: bytes, *lines: str, kind: str = "application/json") -> bytes:
    """A request as bytes, with further header lines."""
    head = ["POST / HTTP/1.1", "Host: x", f"Content-Type: {kind}", *lines]
    if not any(line.lower().startswith(("content-length", "transfer")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def test_the_kit() -> None:
    port = free_port()
    sent: list[asyncio.StreamWriter] = []

    async def feed(bodies: list[bytes]) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"\n".join(bodies), kind="application/x-ndjson"))
        sent.append(writer)

    def make() -> Http:
        return Http(f"127.0.0.1:{port}", paths=["/"], path=True, headers={"X-Site": "site"})

    await check_source(make, feed)
    for writer in sent:
        writer.close()


@pytest.mark.parametrize("delivery", [None, "best_effort"])
async def test_what_was_answered_arrives(tmp_path: Path, delivery: str | None) -> None:
    more: dict[str, Any] = {"paths": ["/", "/at/{place}"], "headers": {"X-Site": "site"}}
    async with hook(tmp_path, delivery, path=True, **more) as made:
        many = b"[" + row(2) + b"," + row(3) + b"]"
        lines = row(4) + b"\n" + row(5) + b"\n"
        packed = {**LINES, "Content-Encoding": "gzip"}
        assert (await made.post(row(1), {**JSON, "X-Site": "north"}, "/at/home?x=1"))[0] == 202
        assert (await made.post(many))[0] == 202
        assert (await made.post(gzip.compress(lines), packed))[:2] == (202, "")
        await until(lambda: len(made.table.rows) == 5)
    assert [got["n"] for got in made.table.rows] == [1, 2, 3, 4, 5]
    first, *others = made.table.rows
    assert (first["place"], first["site"], first["path"]) == ("home", "north", "/at/home")
    assert {(got["place"], got["site"], got["path"]) for got in others} == {(None, None, "/")}


async def test_an_answer_comes_only_when_the_rows_are_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hook(tmp_path) as made:
        journal = made.running.readers["source"]._journal
        assert journal is not None
        held: list[asyncio.Future[None]] = []

        def append(*_: Any, **__: Any) -> asyncio.Future[None]:
            held.append(asyncio.get_running_loop().create_future())
            return held[-1]

        monkeypatch.setattr(journal, "append", append)
        asking = asyncio.create_task(made.post(row(1)))
        await until(lambda: held)
        await asyncio.sleep(0.05)
        assert not asking.done()
        held[0].set_result(None)
        assert (await asking)[0] == 202


async def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    async with hook(tmp_path, token=Secret(TOKEN, "a test"), max_body="1KiB") as made:
        good = {**JSON, "Authorization": f"Bearer {TOKEN}"}
        cases: list[tuple[bytes, Mapping[str, str], str, str, int, str]] = [
            (row(1), JSON, "/", "POST", 401, "Authorization: Bearer"),
            (row(1), {**JSON, "Authorization": "Bearer x"}, "/", "POST", 401, "token"),
            (row(1), {**JSON, "Authorization": f"Basic {TOKEN}"}, "/", "POST", 401, "token"),
            (row(1), good, "/elsewhere", "POST", 404, "nothing is taken"),
            (row(1), good, "/", "PUT", 405, "POST"),
            (b"", good, "/", "GET", 405, "POST"),
            (b'{"n": 1,', good, "/", "POST", 400, "truncated"),
            (row(1), {**good, "Content-Type": "text/plain"}, "/", "POST", 415, "application/json"),
            (b"x" * 2000, good, "/", "POST", 413, "1KiB"),
            (row(1), {**good, "Idempotency-Key": "k" * 300}, "/", "POST", 400, "Idempotency-Key"),
            (gzip.compress(b" " * 10**6), {**good, "Content-Encoding": "gzip"}, "/", "POST", 413,
             "unpacks"),
        ]  # fmt: skip
        for body, headers, path, method, status, words in cases:
            got = await made.post(body, headers, path, method)
            assert (got[0], words in got[1]) == (status, True), got
            assert got[2]["Connection"] == "close"
        assert (await made.post(row(7), good))[0] == 202
        await until(lambda: made.table.rows)
    assert [got["n"] for got in made.table.rows] == [7]


async def test_bare_requests_that_no_honest_client_sends(tmp_path: Path) -> None:
    async with hook(tmp_path) as made:
        body = row(1)
        length = f"Content-Length: {len(body)}"
        for data, status in [
            (request(body, length, "Transfer-Encoding: chunked"), b"400"),
            (request(body, length, "Content-Length: 5"), b"400"),
            (request(body, "Content-Length: -1"), b"400"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"431"),
            (b"nonsense\r\n\r\n", b"400"),
            (b"\x16\x03\x01\x02\x00", b"400"),  # TLS where there is none
            (request(body).replace(b"Host: x\r\n", b""), b"400"),
        ]:
            answer = await made.bare(data)
            assert answer[9:12] == status, (data[:60], answer)
    assert made.table.rows == []


async def test_requests_one_after_the_other_on_one_connection(tmp_path: Path) -> None:
    async with hook(tmp_path) as made:
        chunked = b"5\r\n" + row(2)[:5] + b"\r\n" + b"%x\r\n" % len(row(2)[5:]) + row(2)[5:]
        data = request(row(1)) + request(chunked + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
        data += request(row(3), "Expect: 100-continue", "Connection: close")
        answer = await made.bare(data, whole=False)
        assert answer.count(b"HTTP/1.1 202") == 3
        assert answer.count(b"HTTP/1.1 100") == 1
        old = b"POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        assert b" 202 " in await made.bare(old % len(row(4)) + row(4), whole=False)
        await until(lambda: len(made.table.rows) == 4)
    assert [got["n"] for got in made.table.rows] == [1, 2, 3, 4]


async def test_too_much_that_waits_is_answered_429(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hook(tmp_path, max_body="1KiB", max_held="2KiB") as made:
        journal = made.running.readers["source"]._journal
        assert journal is not None
        append, held = journal.append, asyncio.Event()

        def later(given: Any, *, silence: float | None = 0) -> asyncio.Future[None]:
            async def wait() -> None:
                await held.wait()
                await append(given)

            return asyncio.ensure_future(wait())

        monkeypatch.setattr(journal, "append", later)
        first = [asyncio.create_task(made.post(row(n, x="y" * 600))) for n in range(3)]
        await until(lambda: made.source._server is not None and made.source._server._held > 1_800)
        status, words, headers = await made.post(row(9, x="y" * 600))
        assert (status, headers["Retry-After"]) == (429, "1")
        assert "again" in words
        held.set()
        assert [answer[0] for answer in await asyncio.gather(*first)] == [202] * 3
        assert (await made.post(row(3, x="y" * 600)))[0] == 202
        await until(lambda: len(made.table.rows) == 4)
    assert sorted(got["n"] for got in made.table.rows) == [0, 1, 2, 3]


async def test_slow_and_silent_clients_are_turned_away(tmp_path: Path) -> None:
    async with hook(tmp_path, patience="1s", keep_alive="1s", connections=3) as made:
        slow = await made.bare(request(row(1))[:-5], whole=False)
        assert slow.startswith(b"HTTP/1.1 408")
        assert await made.bare(b"", whole=False) == b""
        open_ones = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (await made.bare(b"", whole=False)).startswith(b"HTTP/1.1 503")
        for _, writer in open_ones:
            writer.close()
        await until(lambda: made.source._server and not made.source._server._connections)
        assert (await made.post(row(1)))[0] == 202


async def test_what_is_sent_again_with_its_key_is_dropped(tmp_path: Path) -> None:
    async with hook(tmp_path, paths=["/", "/b"]) as made:
        lines = row(1) + b"\n" + row(2)
        keyed = {**LINES, "Idempotency-Key": "abc"}
        event = {**JSON, "ce-source": "/dev/1", "ce-id": "5", "ce-specversion": "1.0"}
        for _ in range(3):
            assert (await made.post(lines, keyed))[0] == 202
            assert (await made.post(row(3), event))[0] == 202
        assert (await made.post(lines, keyed, "/b"))[0] == 202
        assert (await made.post(row(3), {**event, "ce-id": "6"}))[0] == 202
        assert (await made.post(row(4)))[0] == 202
        assert (await made.post(row(4)))[0] == 202
        await until(lambda: len(made.table.rows) == 8)
        assert made.running.graph.entries["source"].repeated == 6
    assert sorted(got["n"] for got in made.table.rows) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert set(made.table.rows[0]) == {"n", "ts"}


async def test_a_stop_answers_what_came_and_takes_no_more(tmp_path: Path) -> None:
    made = Hook(tmp_path, linger="300ms")
    async with made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(request(row(1)))
        await until(lambda: made.source._server and made.source._server._held)
        made.running.stop()
        writer.write(request(row(2)))
        async with asyncio.timeout(20):
            answer = await reader.read(-1)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 202")
    assert answer.count(b" 202 ") == 1
    assert [got["n"] for got in made.table.rows] == [1]


async def test_a_port_in_use_is_said_with_exit_code_75() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as taken:
        port = taken.sockets[0].getsockname()[1]
        source = Http(f"127.0.0.1:{port}")
        with pytest.raises(Fatal, match=f"port {port} on 127.0.0.1 is in use") as told:
            await source.open(context(), None)
        await source.close()
    assert told.value.exit_code == 75


async def test_tls_with_client_certificates(tmp_path: Path) -> None:
    authority = Certificates(tmp_path / "authority")
    cert, key = authority.make("server")
    mine, mine_key = authority.make("client")
    tls = ServerTls(str(cert), str(key), str(authority.ca))
    async with hook(tmp_path, tls=tls) as made:

        def ask(context: ssl.SSLContext) -> int:
            client = http.client.HTTPSConnection("localhost", made.port, context=context)
            try:
                client.request("POST", "/", row(1), JSON)
                return client.getresponse().status
            finally:
                client.close()

        known = ssl.create_default_context(cafile=str(authority.ca))
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            await asyncio.to_thread(ask, known)
        known.load_cert_chain(mine, mine_key)
        assert await asyncio.to_thread(ask, known) == 202
    with pytest.raises(Fatal, match="TLS cannot be set up"):
        ServerTls(str(tmp_path / "nothing.pem")).context()


async def test_curl_as_in_the_manual(tmp_path: Path) -> None:
    async with hook(tmp_path) as made:
        command = [
            find("curl"), "-sS", "-w", "%{http_code}", "--json", row(1).decode(),
            f"http://127.0.0.1:{made.port}/",
        ]  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=True, timeout=20
        )
        assert done.stdout == "202"


async def test_many_requests_share_a_commit(tmp_path: Path) -> None:
    async with hook(tmp_path) as made:
        await asyncio.gather(*(made.post(row(n)) for n in range(60)))
        await until(lambda: len(made.table.rows) == 60)
        groups = made.source._committed
    assert groups < 50


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"listen": "0.0.0.0:1"}, "other machines"),
        ({"listen": "example"}, "an address and a port"),
        ({"listen": "x:99999"}, "an address and a port"),
        ({"paths": []}, "no path"),
        ({"paths": ["x"]}, "begins with /"),
        ({"paths": ["/{a}"], "headers": {"x": "a"}}, "two things"),
        ({"max_held": "1KiB"}, "max_body"),
        ({"tls": {"ca": "x"}}, "certificate"),
        ({"token": Secret("short", "a test")}, "16 plain characters"),
    ],
)
def test_what_does_not_fit_together(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Http(**options)


def test_other_machines_may_send_where_that_was_said() -> None:
    assert Http("0.0.0.0:1", anyone=True).anyone
    assert Http(":1", token=Secret(TOKEN, "a test")).token


async def test_a_source_that_is_not_open_gives_nothing() -> None:
    with pytest.raises(Disconnected):
        await anext(Http().batches())


async def test_the_token_is_not_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with hook(tmp_path, token=Secret(TOKEN, "a test")) as made:
        await made.post(row(1), {**JSON, "Authorization": f"Bearer {TOKEN}x"})
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(made.source)
