"""The endpoint as a peer with a bare socket finds it, friendly or not."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from edgestream.config.values import Secret
from edgestream.errors import ConfigError, Fatal
from edgestream.web.peers import Limits
from edgestream.web.server import Server, start
from tests.web.fake_view import FakeView

LIMITS = Limits(request_seconds=0.3, answer_seconds=0.5, connections=3)
TOKEN = Secret("correct-horse-battery", "${TOKEN}")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = await start(FakeView(), "127.0.0.1", 0, None)
    yield server
    await server.close()


@pytest.fixture
async def strict() -> AsyncIterator[Server]:
    server = await start(FakeView(), "127.0.0.1", 0, None, limits=LIMITS)
    yield server
    await server.close()


@pytest.fixture
async def guarded() -> AsyncIterator[Server]:
    server = await start(FakeView("broken"), "127.0.0.1", 0, TOKEN)
    yield server
    await server.close()


async def exchange(port: int, request: bytes, more: bytes = b"") -> bytes:
    """Everything the endpoint sends until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            writer.write(request)
            await writer.drain()
            if more:
                writer.write(more)
            return await reader.read()
    finally:
        writer.close()


def get(path: str, *headers: str, method: str = "GET", host: str = "localhost") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def fetch(server: Server, path: str, *headers: str) -> tuple[int, Any]:
    answer = await exchange(server.port, get(path, *headers))
    return status(answer), json.loads(body(answer)) if status(answer) == 200 else body(answer)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get("/livez", method="POST"), 405),
        (get("/livez", method="OPTIONS"), 405),
        (get("/livez", method="TRACE"), 405),
        (get("/api/v1/pipelines", "Content-Length: 3", method="PUT") + b"abc", 405),
        (get("localhost:443", method="CONNECT"), 405),
        (get("/livez", host="evil.example"), 421),
        (get("/livez", host="127.0.0.1.evil.example"), 421),
        (get("/livez", host="localhost@evil.example"), 421),
        (get("/livez", host="0.0.0.0"), 421),
        (get("/livez", host=""), 421),
        (get("/livez", host="[::1"), 421),
        (b"GET /livez HTTP/1.0\r\n\r\n", 421),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (get("/livez", "Host: localhost"), 400),
        (get("/livez", "Content-Length: 5") + b"12345", 400),
        (get("/livez", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (get("/livez", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (get("/livez", "Content-Length: 5", "Content-Length: 6"), 400),
        (get("/livez", "Transfer-Encoding: gzip"), 501),
        (get("/livez", "Content-Length: -1"), 400),
        (get("/livez", "Space : x"), 400),
        (get("/livez", "Null: \0"), 400),
        (get("/a b"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 421),
        (get("/livez", f"Long: {'x' * 20_000}"), 431),
        (get("/livez", *(f"H{n}: x" for n in range(10_000))), 431),
        (get("/" + "a" * 20_000), 431),
        (get("/api/v1/pipelines/weather/rows?" + "&".join(["sink=a"] * 9)), 400),
    ],
)
async def test_refusals(server: Server, request_: bytes, expected: int) -> None:
    answer = await exchange(server.port, request_)
    assert status(answer) == expected
    assert b"\r\nConnection: close\r\n" in answer
    assert_guarded(answer)


def assert_guarded(answer: bytes) -> None:
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"\r\ncontent-security-policy: default-src 'self';" in head
    assert b"\r\nx-content-type-options: nosniff" in head
    assert b"access-control" not in head


@pytest.mark.parametrize(
    "path",
    [
        "//",
        "//livez",
        "/livez/",
        "/./livez",
        "/../livez",
        "/static/../livez",
        "/%2e/livez",
        "/%2e%2e/livez",
        "/livez%2e",
        "/%6civez",
        "/app%2ejs",
        "/style.css%00",
        "/static/app.js",
        "/server.py",
        "/../server.py",
        "/..%2fserver.py",
        "/LIVEZ",
        "/livez;a=b",
        "http://localhost/livez",
        "*",
        "/api/v1/pipelines/",
        "/api/v1/pipelines/weather",
        "/api/v1//pipelines",
        "/api/v1/pipelines/weather/rows/",
        "/api/v1/pipelines/./weather/rows?sink=averages",
        "/api/v1/pipelines/x/../weather/rows?sink=averages",
        "/api/v1/pipelines/nope/rows?sink=averages",
        "/api/v1/pipelines/weather/rows?sink=nope",
        "/api/v1/pipelines/weather%2frows?sink=averages",
    ],
)
async def test_only_exact_paths_are_found(server: Server, path: str) -> None:
    answer = await exchange(server.port, get(path))
    assert status(answer) == 404
    assert_guarded(answer)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8080", "127.0.0.1:1", "[::1]:80", "[::1]"]
)
async def test_its_own_names_are_served_on_any_port(server: Server, host: str) -> None:
    assert status(await exchange(server.port, get("/livez", host=host))) == 200


async def test_a_name_given_to_it_is_served() -> None:
    server = await start(FakeView(), "127.0.0.1", 0, None, hosts=["Edge.Example"])
    answers = [
        await exchange(server.port, get("/livez", host=h)) for h in ("edge.example:80", "x.example")
    ]
    await server.close()
    assert [status(answer) for answer in answers] == [200, 421]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?sink=",
        "?sink=a&sink=b",
        "?after=1",
        "?sink=a&after=-1",
        "?sink=a&after=x",
        "?sink=a&after=1e3",
        "?sink=a&after=%D9%A1",
        "?sink=a&after=1234567890123456789",
        "?sink=a&more=1",
    ],
)
async def test_a_wrong_question_for_rows(server: Server, query: str) -> None:
    answer = await exchange(server.port, get(f"/api/v1/pipelines/weather/rows{query}"))
    assert status(answer) == (404 if query == "?sink=" else 400)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nA: "]
)
async def test_a_peer_that_is_slow_to_ask_is_let_go(strict: Server, sent: bytes) -> None:
    answer = await exchange(strict.port, sent)
    assert answer == b"" if not sent else status(answer) == 408


async def test_a_peer_that_drips_bytes_gets_no_more_time(strict: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", strict.port)

    async def drip() -> None:
        while not reader.at_eof():
            writer.write(b"a")
            await asyncio.sleep(0.02)

    task = asyncio.create_task(drip())
    async with asyncio.timeout(5):
        answer = await reader.read()
    task.cancel()
    writer.close()
    assert status(answer) == 408


async def test_a_peer_that_does_not_read_is_let_go(strict: Server) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", strict.port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    asked = "/api/v1/pipelines/weather/rows?sink=averages"
    writer.write(get(asked).replace(b"Connection: close\r\n", b"") * 400)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while True:
                writer.write(b"GET")
                await writer.drain()
                await asyncio.sleep(0.02)
    assert status(await exchange(strict.port, get("/livez"))) == 200


async def test_one_connection_too_many_is_told_so_and_a_place_comes_free(strict: Server) -> None:
    held = [await asyncio.open_connection("127.0.0.1", strict.port) for _ in range(3)]
    answer = await exchange(strict.port, get("/livez"))
    assert status(answer) == 503
    assert b"Retry-After" in answer
    assert_guarded(answer)
    for reader, writer in held:
        await reader.read()
        writer.close()
    assert status(await exchange(strict.port, get("/livez"))) == 200


async def test_even_being_told_has_a_limit(strict: Server) -> None:
    held = [await asyncio.open_connection("127.0.0.1", strict.port) for _ in range(6)]
    try:
        answer = await exchange(strict.port, get("/livez"))
    except ConnectionError:
        answer = b""
    for _, writer in held:
        writer.close()
    assert answer == b""


async def test_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    keep = get("/nothing-changes", method="HEAD").replace(b"Connection: close\r\n", b"")
    first = keep.replace(b"HEAD /nothing-changes", b"GET /livez")
    second = keep.replace(b"HEAD /nothing-changes", b"GET /api/v1/pipelines")
    answer = await exchange(server.port, first + second + get("/icon.svg") + get("/livez"))
    assert answer.count(b"HTTP/1.1 ") == 3  # what follows "Connection: close" is not answered
    assert answer.index(b"\r\n\r\nok\n") < answer.index(b'"pipelines"') < answer.index(b"<svg")


async def test_nothing_hides_behind_a_request_with_a_body(server: Server) -> None:
    hidden = get("/api/v1/pipelines")
    smuggled = get("/livez", f"Content-Length: {len(hidden)}").replace(
        b"Connection: close\r\n", b""
    )
    answer = await exchange(server.port, smuggled + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert status(answer) == 400


async def test_an_offer_to_upgrade_is_passed_over(server: Server) -> None:
    keep = get("/livez", "Connection: upgrade", "Upgrade: h2c").replace(
        b"Connection: close\r\n", b""
    )
    answer = await exchange(server.port, keep + get("/livez"))
    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_head_is_the_answer_without_its_body(server: Server) -> None:
    answer = await exchange(server.port, get("/style.css", method="HEAD"))
    whole = await exchange(server.port, get("/style.css"))
    assert answer == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


async def test_ranges_are_not_cut(server: Server) -> None:
    ranges = ",".join(f"{n}-" for n in range(900))
    answer = await exchange(server.port, get("/style.css", f"Range: bytes={ranges}"))
    assert status(answer) == 200
    assert b"Accept-Ranges: none" in answer
    assert body(answer) == body(await exchange(server.port, get("/style.css")))


@pytest.mark.parametrize(
    ("path", "content_type", "begins"),
    [
        ("/", b"text/html", b"<!doctype html>"),
        ("/app.js", b"text/javascript", b"// The live page"),
        ("/charts.js", b"text/javascript", b"//"),
        ("/format.js", b"text/javascript", b"//"),
        ("/graph.js", b"text/javascript", b"//"),
        ("/layout.js", b"text/javascript", b"//"),
        ("/sinks.js", b"text/javascript", b"//"),
        ("/style.css", b"text/css", b"/*"),
        ("/icon.svg", b"image/svg+xml", b"<svg"),
        ("/uPlot.iife.min.js", b"text/javascript", b"/*! https://github.com/leeoniya/uPlot"),
        ("/uPlot.min.css", b"text/css", b".uplot"),
        ("/uPlot.LICENSE.txt", b"text/plain", b"The MIT License"),
    ],
)
async def test_the_page_and_its_files(
    server: Server, path: str, content_type: bytes, begins: bytes
) -> None:
    answer = await exchange(server.port, get(path))
    assert status(answer) == 200
    assert b"\r\nContent-Type: " + content_type in answer
    assert body(answer).startswith(begins)
    assert_guarded(answer)


async def test_pipelines_and_rows_are_what_the_view_says(server: Server) -> None:
    code, worker = await fetch(server, "/api/v1/pipelines")
    assert code == 200
    assert [pipeline["name"] for pipeline in worker["pipelines"]] == [
        "weather",
        "trackers",
        "archive",
    ]
    code, rows = await fetch(server, "/api/v1/pipelines/weather/rows?sink=averages&after=0")
    assert code == 200
    assert rows["keys"] == ["device"]
    assert all(len(row) == len(rows["columns"]) for row in rows["rows"])
    code, later = await fetch(
        server, f"/api/v1/pipelines/weather/rows?sink=averages&after={rows['next']}"
    )
    assert len(later["rows"]) == later["next"] - rows["next"]


class Named(FakeView):
    """One pipeline whose name needs quoting, with a row that JSON cannot say in full."""

    def rows(self, pipeline: str, sink: str, after: int) -> Mapping[str, Any] | None:
        if (pipeline, sink) == ("dépôt/1 %2e", "a b"):
            return {"keys": [], "columns": ["x"], "next": after, "rows": [[float("nan")]]}
        raise RuntimeError(f"the view is broken for {pipeline}")


async def test_names_are_decoded_once(caplog: pytest.LogCaptureFixture) -> None:
    server = await start(Named(), "127.0.0.1", 0, None)
    path = "/api/v1/pipelines/d%C3%A9p%C3%B4t%2F1%20%252e/rows?sink=a%20b&after=7"
    answer = await fetch(server, path)
    broken = await exchange(server.port, get("/api/v1/pipelines/x/rows?sink=secret"))
    again = await exchange(server.port, get("/livez"))
    await server.close()
    assert answer == (200, {"keys": [], "columns": ["x"], "next": 7, "rows": [[None]]})
    assert status(broken) == 500
    assert b"broken for" not in broken
    assert "the view is broken for x" in caplog.text
    assert status(again) == 200


async def test_probes_of_a_worker_that_is_well(server: Server) -> None:
    for path in ("/livez", "/readyz", "/startupz"):
        answer = await exchange(server.port, get(path))
        assert (status(answer), body(answer)) == (200, b"ok\n")


async def test_probes_say_what_is_missing() -> None:
    view = FakeView("broken")
    server = await start(view, "127.0.0.1", 0, None)
    live = await exchange(server.port, get("/livez"))
    ready = await exchange(server.port, get("/readyz"))
    await server.close()
    assert (status(live), body(live).decode()) == (503, "\n".join(view.live()) + "\n")
    assert (status(ready), body(ready).decode()) == (503, "\n".join(view.ready()) + "\n")


class Starting(FakeView):
    """Two pipelines, of which one still restores its state."""

    def pipelines(self) -> Mapping[str, Any]:
        states = {"a": "running", "b": "starting"}
        return {"pipelines": [{"name": name, "state": state} for name, state in states.items()]}


async def test_startupz_waits_for_every_pipeline() -> None:
    server = await start(Starting(), "127.0.0.1", 0, None)
    answer = await exchange(server.port, get("/startupz"))
    await server.close()
    assert (status(answer), body(answer)) == (503, b"b: starting\n")


async def test_metrics(server: Server) -> None:
    answer = await exchange(server.port, get("/metrics"))
    assert b"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8" in answer
    assert b'edgestream_rows_out_total{node="source",pipeline="weather"} 91532\n' in answer
    assert answer.endswith(b"# EOF\n")


DATA = ["/metrics", "/api/v1/pipelines", "/api/v1/pipelines/weather/rows?sink=averages"]


@pytest.mark.parametrize("path", DATA)
@pytest.mark.parametrize(
    "sent",
    [
        "X: no token",
        "Authorization: Bearer wrong",
        "Authorization: Bearer",
        "Authorization:",
        "Authorization: Bearer correct-horse-batter",
        "Authorization: Bearer correct-horse-battery2",
        "Authorization: Basic correct-horse-battery",
        "Authorization: correct-horse-battery",
        "Authorization: Bearer corr\xe9ct-horse-battery",
    ],
)
async def test_data_needs_the_token(guarded: Server, path: str, sent: str) -> None:
    answer = await exchange(guarded.port, get(path, sent))
    assert status(answer) == 401
    assert b"\r\nWWW-Authenticate: Bearer\r\n" in answer
    assert b"weather" not in answer
    assert_guarded(answer)


@pytest.mark.parametrize("path", DATA)
async def test_the_token_opens(guarded: Server, path: str) -> None:
    answer = await exchange(guarded.port, get(path, "authorization: bearer correct-horse-battery"))
    assert status(answer) == 200


async def test_a_token_in_the_address_counts_for_nothing(guarded: Server) -> None:
    answer = await exchange(guarded.port, get("/metrics?token=correct-horse-battery"))
    assert status(answer) == 401


async def test_two_authorizations_are_none(guarded: Server) -> None:
    good = "Authorization: Bearer correct-horse-battery"
    assert status(await exchange(guarded.port, get("/metrics", good, good))) == 401


async def test_a_probe_without_token_gets_the_verdict_and_no_reasons(guarded: Server) -> None:
    answer = await exchange(guarded.port, get("/readyz"))
    assert status(answer) == 503
    assert b"mqtt" not in answer
    told = await exchange(
        guarded.port, get("/readyz", "Authorization: Bearer correct-horse-battery")
    )
    assert b"cannot reach mqtt://localhost:1883" in told


async def test_the_page_itself_needs_no_token(guarded: Server) -> None:
    assert status(await exchange(guarded.port, get("/app.js"))) == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]"])
async def test_an_address_others_can_reach_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"needs a token.*listen on 127\.0\.0\.1"):
        await start(FakeView(), host, 0, None)


async def test_all_addresses_with_a_token() -> None:
    server = await start(FakeView(), "0.0.0.0", 0, TOKEN)
    here = await exchange(server.port, get("/livez", host="127.0.0.1"))
    lie = await exchange(server.port, get("/livez", host="0.0.0.0"))
    url = server.url
    await server.close()
    assert (status(here), status(lie)) == (200, 421)
    assert url == f"http://127.0.0.1:{server_port(url)}/"


def server_port(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


@pytest.mark.parametrize("value", ["", "short", "with a space in it", "ünïcödé-ünïcödé-ünïcödé"])
async def test_a_token_that_cannot_be_one(value: str) -> None:
    with pytest.raises(ConfigError, match=r"the token from \$\{T\} cannot be used") as caught:
        await start(FakeView(), "127.0.0.1", 0, Secret(value, "${T}"))
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port"), [("", 0), ("127.0.0.1", -1), ("127.0.0.1", 65_536), ("no such host", 0)]
)
async def test_an_address_that_cannot_be_one(host: str, port: int) -> None:
    with pytest.raises(ConfigError, match=r"http: "):
        await start(FakeView(), host, port, TOKEN)


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(ConfigError, match=r"http: cannot listen on 192\.0\.2\.1:0"):
        await start(FakeView(), "192.0.2.1", 0, TOKEN)


async def test_a_port_in_use_is_said_and_exits_75(server: Server) -> None:
    expected = rf"^port {server.port} on 127\.0\.0\.1 is in use; choose another with --http$"
    with pytest.raises(Fatal, match=expected) as caught:
        await start(FakeView(), "127.0.0.1", server.port, None)
    assert caught.value.exit_code == 75


async def test_localhost_is_one_port() -> None:
    server = await start(FakeView(), "localhost", 0, None)
    assert status(await exchange(server.port, get("/livez"))) == 200
    await server.close()


async def test_close_ends_connections_and_frees_the_port() -> None:
    server = await start(FakeView(), "127.0.0.1", 0, None)
    port = server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get("/livez").replace(b"Connection: close\r\n", b""))
    await reader.readuntil(b"ok\n")
    await server.close()
    await server.close()
    assert await reader.read() == b""
    writer.close()
    again = await start(FakeView(), "127.0.0.1", port, None)
    await again.close()


def test_importing_it_loads_nothing_heavy() -> None:
    script = (
        "import sys, asyncio, h11, msgspec, edgestream; before = set(sys.modules)\n"
        "import edgestream.web.server\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {
        "edgestream",
        "http",
        "ipaddress",
        "hmac",
        "urllib",
        "difflib",
    }
