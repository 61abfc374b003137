"""The worker as a child process, and questions to its endpoint."""

from __future__ import annotations

import http.client
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.servers.process import Process, free_port


class Worker:
    """``edgestream worker`` over pipeline files, with its state in ``folder/state``."""

    def __init__(
        self,
        folder: Path,
        pipeline: Path,
        *more: str,
        start: Sequence[str] = (sys.executable, "-m", "edgestream"),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.log = folder / "worker.log"
        command = [*start, "worker", str(pipeline), "--state-dir", str(folder / "state")]
        command += ["--http", f"127.0.0.1:{self.port}", *more]
        self.process = Process(command, self.log, env=env)

    def start(self, ready: Callable[[], bool] | None = None) -> None:
        """Start and wait until it is ready."""
        self.process.start(ready or self.ready, 60)

    def get(self, path: str) -> tuple[int, str]:
        """(status, body), or (0, "") where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The first sample of a metric, 0 where there is none."""
        found = re.search(rf"^edgestream_{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics")[1], re.M)
        return float(found[1]) if found else 0.0
