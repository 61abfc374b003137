"""A real redis-server on a free loopback port."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.servers.process import Process, accepts, find, free_port


class Redis:
    """A server that keeps its data over a restart; ``options`` as on its command line."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="edgestream-redis-"))
        command = [find("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "yes", *options]
        self._process = Process(command, self._folder / "log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Redis:
        self._process.start(lambda: accepts(self.port))
        return self

    def stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """Stop at once, as in a crash."""
        self._process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop and take the files away."""
        self.kill()
        shutil.rmtree(self._folder)
