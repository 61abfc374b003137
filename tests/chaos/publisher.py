"""Publishes the readings of simulated devices with QoS 1 until told to stop, and says how many.

SIGUSR1 makes it five times as fast, SIGUSR2 lets it rest. SIGTERM ends it: the last rows are
acknowledged first, then comes a reading of the device ``end`` from later on, which lets the
watermark close every window. The last line of its output is a JSON object. With ``--poison`` a
message that no codec can read goes with every chunk. A chunk during which the connection broke is
sent again: ``repeated`` says which rows those are.

    python -m tests.chaos.publisher --url mqtt://localhost:1883 --devices 50 --rate 1500
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from edgestream import Batch, Disconnected, MqttSink, Strings
from edgestream.batch import Dictionary
from edgestream.cli.simulate import readings
from edgestream.sources.signals import Fleet
from edgestream.testing import context

SECOND = 1_000_000_000
TICK = 0.02
MOST = 2_000
"""Rows in one chunk."""
AHEAD = 10 * SECOND
"""The last reading is so much later than the others."""
END = "end"


@dataclass(slots=True)
class Sent:
    """How many readings and unreadable messages the broker has taken, and which perhaps twice."""

    sent: int = 0
    poison: int = 0
    repeated: list[tuple[int, int]] = field(default_factory=list)


def fleet_of(devices: int, rate: int, start: int, seed: int, jitter: float = 0) -> Fleet:
    """The rows that are published: row i is the same everywhere; ``jitter`` is in seconds."""
    return Fleet(devices, start, SECOND // rate, seed, int(jitter * SECOND))


class Publisher:
    """One connection to the broker, made again when it breaks."""

    def __init__(self, url: str, fleet: Fleet, rate: int, *, poison: bool = False) -> None:
        self.told = Sent()
        self._sink = MqttSink(url=url, topic="sensors/{device}/telemetry", qos=1)
        self._fleet = fleet
        self._poison = poison
        self._rate = rate
        self._factor = 1
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    def change(self, factor: int) -> None:
        """Publish so many times the rate from now on."""
        self._factor = factor

    async def run(self) -> None:
        """Publish until `stop`."""
        await self._connect()
        owed, looked = 0.0, time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            owed += (now - looked) * self._rate * self._factor
            looked = now
            due = int(owed) - self.told.sent
            if due > 0:
                count = min(due, MOST)
                await self._publish(self._fleet.rows(self.told.sent, count))
                self.told.sent += count
                if self._poison:
                    await self._publish_poison()
            if due < MOST:
                await asyncio.sleep(TICK)
        await self._publish(self._last())
        await self._sink.close()

    async def _publish_poison(self) -> None:
        """A reading that is none: its number is its name, its temperature an object."""
        number = np.array([self.told.poison])
        spoilt = Batch({"device": Strings.of(["poison"]), "ts": number}, number)
        await self._write(spoilt.with_columns(temperature=Strings.of(["far too warm"])))
        self.told.poison += 1

    def _last(self) -> Batch:
        rows = self._fleet.rows(self.told.sent, 1)
        name = Strings(np.zeros(1, np.int32), Dictionary([END]))
        late = rows.with_columns(device=name)
        return Batch(late.columns, late.times + AHEAD)

    async def _publish(self, rows: Batch) -> None:
        await self._write(readings(rows))

    async def _write(self, batch: Batch) -> None:
        while True:
            try:
                await self._sink.write(batch)
                await self._sink.flush(None)
            except Disconnected:
                self.told.repeated.append((self.told.sent, len(batch)))
                await self._sink.close()
                await self._connect()
            else:
                return

    async def _connect(self) -> None:
        while True:
            try:
                await self._sink.open(context("publisher"))
            except Disconnected:
                await self._sink.close()
                await asyncio.sleep(0.05)
            else:
                return


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--rate", type=int, default=1_500)
    parser.add_argument("--start", type=int, default=0, help="event time of the first, in ns")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jitter", type=float, default=0, help="seconds a row may come late")
    parser.add_argument("--poison", action="store_true")
    given = parser.parse_args()
    start = given.start or time.time_ns()
    fleet = fleet_of(given.devices, given.rate, start, given.seed, given.jitter)
    publisher = Publisher(given.url, fleet, given.rate, poison=given.poison)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, publisher.stop)
    loop.add_signal_handler(signal.SIGUSR1, publisher.change, 5)
    loop.add_signal_handler(signal.SIGUSR2, publisher.change, 0)
    print("ready", flush=True)
    await publisher.run()
    print(json.dumps(asdict(publisher.told)))


if __name__ == "__main__":
    asyncio.run(main())
