"""The live page in a real browser: it draws itself from the endpoint and keeps to its CSP."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgestream.web.routes import FILES
from edgestream.web.server import Server, start
from tests.servers.process import find
from tests.web.fake_view import FakeView

STATIC = Path(__file__).parents[2] / "edgestream" / "web" / "static"
OWN = sorted(path.name for path in STATIC.glob("*.js") if not path.name.startswith("uPlot"))
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1280,1000",
    "--virtual-time-budget=4000",
    "--dump-dom",
)


@pytest.fixture(params=["busy"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    server = await start(FakeView(request.param), "127.0.0.1", 0, None)
    yield server
    await server.close()


async def dom(url: str, profile: Path) -> tuple[str, str]:
    """The page's elements after some seconds, and what the browser complained about."""
    browser = await asyncio.create_subprocess_exec(
        find("chromium"),
        *FLAGS,
        f"--user-data-dir={profile}",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            out, log = await browser.communicate()
    finally:
        if browser.returncode is None:
            browser.kill()
            await browser.wait()
    complaints = [line for line in log.decode().splitlines() if "CONSOLE" in line]
    return out.decode(), "\n".join(complaints)


async def test_a_running_pipeline_is_drawn(server: Server, tmp_path: Path) -> None:
    page, complaints = await dom(server.url, tmp_path)
    assert complaints == ""
    assert "<h1>weather</h1>" in page
    for words in ("effectively once", "running", ">live<", "UTC, ", "late.ndjson", "Dead letters"):
        assert words in page, words
    for node in ("mqtt", "where", "window", "averages", "late"):
        assert re.search(rf'class="name">{node}<', page), node
    assert page.count("<canvas") == 3
    assert "+4 more" in page
    assert page.count('role="tab"') == 3
    assert len(re.findall(r"<tbody>.*?</tbody>", page)) == 2


async def test_another_pipeline_is_chosen_by_the_address(server: Server, tmp_path: Path) -> None:
    page, complaints = await dom(f"{server.url}#trackers", tmp_path)
    assert complaints == ""
    assert "<h1>trackers</h1>" in page
    assert "cannot reach postgres://db:5432: timed out" in page
    assert "Events are coming in; none has got this far yet." in page


@pytest.mark.parametrize("server", ["waiting"], indirect=True)
async def test_an_empty_page_says_what_it_waits_for(server: Server, tmp_path: Path) -> None:
    page, complaints = await dom(server.url, tmp_path)
    assert complaints == ""
    assert "<canvas" not in page
    assert "Waiting for mqtt: cannot reach mqtt://localhost:1883: connection refused." in page


class Opening(FakeView):
    """A pipeline whose first window is open."""

    def pipelines(self) -> dict[str, object]:
        worker = dict(super().pipelines())
        weather = worker["pipelines"][0]
        weather["nodes"][3]["rows_in"] = 0
        weather["nodes"][2]["closes"] = weather["watermark"] + 9.2
        weather["nodes"][0]["label"] = "<img src=x onerror=alert(1)>"
        return {**worker, "pipelines": [weather]}

    def rows(self, pipeline: str, sink: str, after: int) -> dict[str, object]:
        return {"keys": [], "columns": [], "next": 0, "rows": []}


async def test_an_open_window_is_announced_and_markup_stays_text(tmp_path: Path) -> None:
    server = await start(Opening(), "127.0.0.1", 0, None)
    page, complaints = await dom(server.url, tmp_path)
    await server.close()
    assert complaints == ""
    assert "The first window closes in about 9 s." in page
    assert "&lt;img src=x" in page
    assert '<img src="x"' not in page


@pytest.mark.parametrize("name", OWN)
def test_scripts_set_text_never_markup(name: str) -> None:
    script = (STATIC / name).read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script
    )
    assert "http://" not in script.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in script


def test_every_file_of_the_page_is_served_and_asked_for() -> None:
    assert {name for name, _ in FILES.values()} == {path.name for path in STATIC.iterdir()}
