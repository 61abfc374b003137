"""Who receives the answers of the filter: mosquitto_sub writes each with the time into a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from benchmarks.peers.build import Missing
from benchmarks.peers.live.engine import OUT, Job
from tests.servers.process import Process

_MARK = "|"


class Listener:
    """A subscription to the topic of answers, while it is entered."""

    def __init__(self, job: Job) -> None:
        """Nothing is started yet."""
        program = shutil.which("mosquitto_sub")
        if program is None:
            raise Missing("mosquitto_sub, which receives the answers, is not installed")
        self._path = job.folder / "received.txt"
        self._broker = job.folder / "broker" / "mosquitto.log"
        where = ["-h", "127.0.0.1", "-p", str(job.port), "-t", OUT, "-q", str(job.qos)]
        self._process = Process([program, *where, "-F", f"{_MARK}%U %p"], self._path)
        self._answers = 0
        self._read = 0

    def __enter__(self) -> Listener:
        """Subscribe."""
        self._process.start(lambda: f" {OUT}\n" in self._broker.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._process.terminate()

    def count(self) -> int:
        """The answers so far."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            more = file.read()
        self._read += len(more)
        self._answers += more.count(_MARK.encode())
        return self._answers

    def answers(self) -> Iterator[tuple[float, str]]:
        """Each with the wall clock at which it came."""
        self._process.terminate()
        # an answer may end with a line end of its own: the mark shows where the next begins
        for answer in self._path.read_text().split(_MARK)[1:]:
            at, _, payload = answer.partition(" ")
            yield float(at), payload
