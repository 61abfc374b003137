"""What the endpoint may see of a worker: five questions, answered from memory without waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edgestream.web.metrics import Sample


class View(Protocol):
    """A worker as its HTTP endpoint sees it; everything returned can be written as JSON."""

    def live(self) -> Sequence[str]:
        """The problems only a restart can cure; empty when alive."""

    def ready(self) -> Sequence[str]:
        """What is missing: ``weather.source mqtt: cannot reach mqtt://…``; empty when ready."""

    def pipelines(self) -> Mapping[str, object]:
        """``version``, ``now`` (epoch seconds) and ``pipelines``.

        A pipeline has ``name state message delivery started nodes edges watermark lag
        dead_letters late checkpoints spooled dropped``. Its ``state`` is one of starting, running,
        stopping, stopped and failed, and is starting only while state is being restored, not
        while a server is out of reach; ``spooled`` is in bytes, ``dropped`` in rows. A node has
        ``id kind component label rows_in rows_out state message ports`` and may have
        ``state_bytes`` and ``closes``: the event time, in epoch seconds, at which its earliest
        open window ends. An edge has ``from to port``.
        """

    def rows(self, pipeline: str, sink: str, after: int) -> Mapping[str, object] | None:
        """``keys columns next rows``: a sink's rows after number ``after``, newest last.

        None where there is no such pipeline or sink.
        """

    def metrics(self) -> Iterable[Sample]:
        """Everything counted, for ``/metrics``."""
