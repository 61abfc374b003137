"""``edgestream demo``: the newcomer's first minute, with nothing installed but Python."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import webbrowser
from dataclasses import replace
from importlib import resources
from pathlib import Path

import click

from edgestream import Mqtt
from edgestream.cli.broker import broker
from edgestream.cli.load import load_specs
from edgestream.cli.logs import set_up_logging
from edgestream.cli.simulate import simulation
from edgestream.cli.worker import parse_address
from edgestream.runtime.worker import Settings, Worker
from edgestream.sources.generate import Generate
from edgestream.spec import PipelineSpec


@click.command("demo")
@click.option(
    "--dir",
    "folder",
    default="edgestream-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the pipeline file and database go.",
)
@click.option(
    "--http",
    "address",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the live page is; port 0 is any free one.",
)
@click.option("--devices", default=8, show_default=True, help="How many simulated sensors.")
@click.option("--rate", default=40.0, show_default=True, help="Readings per second, all together.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="End after so long.  [default: until Ctrl-C]",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def command(
    folder: Path, address: str, devices: int, rate: float, seconds: float | None, open_page: bool
) -> int:
    """Sensors → MQTT → windows → SQLite → a page to look at, all on this machine.

    Example:  edgestream demo --open
    """
    set_up_logging("warning")
    host, port = parse_address(address)
    folder.mkdir(parents=True, exist_ok=True)
    pipeline_file = folder / "weather.yaml"
    if not pipeline_file.exists():
        pipeline_file.write_bytes(template("weather.yaml"))
    demo = _Demo(folder, pipeline_file, (host, port), open_page)
    source = Generate(devices=devices, rate=rate)
    with contextlib.suppress(asyncio.CancelledError):
        return asyncio.run(demo.run(source, seconds))
    return 0


def template(name: str) -> bytes:
    """A pipeline file that comes with edgestream."""
    return (resources.files("edgestream") / "cli" / "templates" / name).read_bytes()


def _begun(spec: PipelineSpec) -> PipelineSpec:
    """The pipeline without the sessions of an earlier demo: its broker is gone, with them."""
    sources = {
        name: replace(source, component=replace(source.component, clean_start=True))
        if isinstance(source.component, Mqtt)
        else source
        for name, source in spec.sources.items()
    }
    return replace(spec, sources=sources)


class _Demo:
    def __init__(
        self, folder: Path, pipeline_file: Path, address: tuple[str, int | None], open_page: bool
    ) -> None:
        self._folder = folder
        self._file = pipeline_file
        self._address = address
        self._open = open_page
        self._database = folder / "weather.db"

    async def run(self, source: Generate, seconds: float | None) -> int:
        state = self._folder / "state"
        state.mkdir(exist_ok=True)
        async with broker(state) as (url, name):
            click.echo(f"broker     {name} on {url}")
            os.environ["MQTT_URL"] = url
            os.environ["WEATHER_DB"] = str(self._database)
            specs = [_begun(spec) for spec in load_specs([self._file], (), tests=False)]
            host, port = self._address
            worker = Worker(specs, Settings(state, host, port, grace=5))
            sensors = Worker(
                [simulation(url, "sensors/{device}/telemetry", 1, source, "sensors")],
                Settings(state, grace=2),
            )
            working = asyncio.create_task(worker.run(lambda: self._started(worker)))
            publishing = asyncio.create_task(sensors.run_quietly())
            watching = asyncio.create_task(self._watch())
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, worker.stop)
            try:
                code = await working
            finally:
                watching.cancel()
                sensors.stop()
                await asyncio.gather(publishing, watching, return_exceptions=True)
        click.echo(f"stopped    your windows are in {self._database}, table averages")
        return code

    def _started(self, worker: Worker) -> None:
        click.echo(f"pipeline   {self._file} (yours to change)")
        click.echo(f"database   {self._database}, table averages")
        click.secho(f"page       {worker.url}", bold=True)
        click.echo("           the first window closes within 12 seconds; Ctrl-C stops")
        if self._open:
            webbrowser.open(worker.url)

    async def _watch(self) -> None:
        """Tell of each window as it lands in the database."""
        seen = ""
        while True:
            await asyncio.sleep(1)
            for start, devices, readings, mean in self._windows(seen):
                seen = start
                click.echo(
                    f"window     {start}  {devices} devices, {readings} readings, "
                    f"mean temperature {mean:.1f} °C"
                )

    def _windows(self, after: str) -> list[tuple[str, int, int, float]]:
        if not self._database.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as db:
            try:
                return db.execute(
                    "SELECT window_start, count(*), sum(n), avg(mean) FROM averages "
                    "WHERE window_start > ? GROUP BY window_start ORDER BY window_start",
                    (after,),
                ).fetchall()
            except sqlite3.OperationalError:
                return []  # the table comes with the first window
