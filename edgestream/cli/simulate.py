"""``edgestream simulate``: simulated devices that publish their readings over MQTT.

It is a pipeline like any other: `Generate` → readings as payloads → the MQTT sink.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from string import Formatter
from typing import Literal

import click
import numpy as np

from edgestream import MqttSink
from edgestream.batch import Batch, Column, Strings
from edgestream.building import pipeline
from edgestream.cli.logs import set_up_logging
from edgestream.cli.progress import Progress
from edgestream.errors import did_you_mean
from edgestream.operators.function import operator
from edgestream.runtime.worker import Settings, Worker
from edgestream.sources.generate import Generate
from edgestream.spec import PipelineSpec


@operator
def readings(batch: Batch) -> Batch:
    """What a device sends: its name, epoch milliseconds, and values with two decimals."""
    columns: dict[str, Column] = {"device": batch["device"], "ts": batch.times // 1_000_000}
    for name, values in batch.columns.items():
        if name not in columns and not isinstance(values, Strings):
            columns[name] = np.round(values, 2)
    return Batch(columns, batch.times)


def simulation(
    url: str, topic: str, qos: Literal[0, 1], source: Generate, name: str = "simulate"
) -> PipelineSpec:
    """The pipeline that publishes."""
    return (
        pipeline(name, delivery="best_effort")
        .source(source)
        .step(readings.using())
        .sink(MqttSink(url=url, topic=topic, qos=qos))
        .spec()
    )


def check_topic(topic: str, source: Generate) -> None:
    """Raise a usage error where a topic names what no reading has."""
    known = {*source.schema().fields, "ts"}
    try:
        names = {name for _, name, _, _ in Formatter().parse(topic) if name is not None}
    except ValueError:
        return  # the sink says what is wrong with its braces
    for name in sorted(names - known):
        hint = did_you_mean(name, known)
        message = f"readings have no column {name!r}" + (f"; {hint}" if hint else "")
        raise click.BadParameter(message, param_hint="--topic")


@click.command("simulate")
@click.option("--url", default="mqtt://localhost:1883", show_default=True, help="The broker.")
@click.option(
    "--topic",
    default="sensors/{device}/telemetry",
    show_default=True,
    help="Where to publish; {device} is the device's name.",
)
@click.option("--devices", default=10, show_default=True, help="How many devices.")
@click.option(
    "--rate",
    default=10.0,
    show_default=True,
    help="Messages per second, all devices together; 0 is as fast as possible.",
)
@click.option("--count", type=int, help="Stop after so many messages.")
@click.option("--qos", default=1, show_default=True, type=click.IntRange(0, 1))
@click.option("--seed", default=0, show_default=True, help="Other seeds give other values.")
@click.option(
    "--start",
    default="now",
    show_default=True,
    help="Event time of the first reading, ISO 8601, or now.",
)
@click.option("--jitter", default="0s", show_default=True, help="How late a reading may come.")
def command(
    url: str,
    topic: str,
    devices: int,
    rate: float,
    count: int | None,
    qos: int,
    seed: int,
    start: str,
    jitter: str,
) -> int:
    """Publish the readings of simulated devices over MQTT until stopped.

    A payload:  {"device":"sensor-0","ts":1764000000000,"temperature":21.53,…}

    Example:  edgestream simulate --devices 100 --rate 1000
    """
    set_up_logging("warning")
    source = Generate(
        devices=devices, rate=rate, count=count, start=start, seed=seed, jitter=jitter
    )
    check_topic(topic, source)
    spec = simulation(url, topic, 1 if qos else 0, source)
    if rate:
        click.echo(f"{devices} devices, {rate:g} messages/s to {url}; Ctrl-C stops", err=True)
    with tempfile.TemporaryDirectory(prefix="edgestream-simulate-") as folder:
        return asyncio.run(_run(Worker([spec], Settings(Path(folder), grace=2))))


async def _run(worker: Worker) -> int:
    async with Progress(worker):
        return await worker.run()
