"""The kit that every source and sink passes: the component contract, checked by running it.

A connector's own test names what only it can know (how to make it, how another program sees what
it wrote, how to stop its counterpart) and calls `check_sink` or `check_source`. A failure is an
AssertionError whose note names the behaviour. Nothing here knows any connector.

    async def test_kit(server):
        await check_sink(
            lambda place: Postgres(url=server.url, table=place),
            lambda place: server.rows(f"SELECT * FROM {place}"),
            restart=server.restart,
            unreachable=lambda: Postgres(url="postgresql://localhost:1/none", table="t"),
        )
"""

from edgestream.testing.connectors.given import MemoryMetrics, batch, context, counts
from edgestream.testing.connectors.sinks import SINK_BEHAVIOURS, SinkCase, check_sink
from edgestream.testing.connectors.sources import SOURCE_BEHAVIOURS, SourceCase, check_source

__all__ = [
    "SINK_BEHAVIOURS",
    "SOURCE_BEHAVIOURS",
    "MemoryMetrics",
    "SinkCase",
    "SourceCase",
    "batch",
    "check_sink",
    "check_source",
    "context",
    "counts",
]
