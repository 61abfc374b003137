"""``python -m benchmarks.ingest``: requests/s of the HTTP source, and what a request costs it.

A worker takes JSON over keep-alive connections, answers when the rows are in its journal, and
counts them in windows into SQLite. Clients share processor 0 with the measuring; the worker has 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pinned import pinned
from benchmarks.usage import usage
from tests.servers.process import Process, accepts, free_port

PIPELINE = """
name: ingest
{durability}
source:
  http: {{listen: "127.0.0.1:{port}", linger: {linger}}}
  time: {{field: ts, unit: ms, delay: 1s}}
steps:
  - window: {{tumbling: 10s, by: device, aggregate: {{n: count(), mean: mean(temperature)}}}}
sink:
  sqlite: {{path: "{path}", table: windows}}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """So many requests of so many rows, over so many connections at once."""

    requests: int
    rows: int
    connections: int


def packet(rows: int) -> bytes:
    """One request; ``%TS%`` stands for the time."""
    row = '{"device":"d%02d","ts":%d,"temperature":21.5,"humidity":44}'
    now = int(time.time() * 1000)
    body = "\n".join(row % (number % 50, now + number) for number in range(rows))
    kind = "application/x-ndjson" if rows > 1 else "application/json"
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()


async def client(port: int, count: int, rows: int, times: list[float]) -> None:
    """Send one request after the other, each when the last was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = packet(rows)
    for _ in range(count):
        started = time.perf_counter()
        writer.write(data)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(answer.decode())
        times.append(time.perf_counter() - started)
    writer.close()


async def send(port: int, load: Load) -> list[float]:
    """All requests; the seconds that each took."""
    times: list[float] = []
    each = load.requests // load.connections
    clients = (client(port, each, load.rows, times) for _ in range(load.connections))
    await asyncio.gather(*clients)
    return times


def measure(load: Load, linger: str, durability: str) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory(prefix="edgestream-ingest-") as name, pinned(0):
        folder, port = Path(name), free_port()
        given = f"durability: {durability}" if durability else ""
        text = PIPELINE.format(port=port, path=folder / "out.db", linger=linger, durability=given)
        (folder / "ingest.yaml").write_text(text)
        command = [sys.executable, "-m", "edgestream", "worker", str(folder / "ingest.yaml")]
        process = Process([*command, "--state-dir", str(folder / "state")], folder / "log")
        with pinned(1):
            process.start(lambda: accepts(port), 30)
        try:
            asyncio.run(send(port, Load(load.connections * 20, load.rows, load.connections)))
            before, started = usage(process.pid), time.perf_counter()
            times = sorted(asyncio.run(send(port, load)))
            took = time.perf_counter() - started
            after = usage(process.pid)
        finally:
            process.terminate(20)
    count = len(times)
    cpu = (after.cpu - before.cpu) * 1e6 / count
    written = (after.written - before.written) / count
    return (
        f"{load.connections:>5} {load.rows:>6} {count / took:>10,.0f} "
        f"{count * load.rows / took:>10,.0f} {cpu:>10,.0f} {cpu / load.rows:>8.2f} "
        f"{written / load.rows:>8,.0f} {times[count // 2] * 1e3:>8.1f} "
        f"{times[count * 99 // 100] * 1e3:>8.1f} {after.peak:>8.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--linger", default="5ms")
    parser.add_argument("--durability", default="")
    given = parser.parse_args()
    print(
        "conns   rows requests/s     rows/s µs/request   µs/row    B/row   p50 ms   p99 ms peak MiB"
    )
    for load in (
        Load(300, 1, 1),
        Load(6_000, 1, 32),
        Load(20_000, 1, 200),
        Load(1_600, 100, 32),
        Load(320, 1_000, 8),
    ):
        print(measure(load, given.linger, given.durability), flush=True)


if __name__ == "__main__":
    main()
