"""Starting and stopping one server process; the same few lines for every server."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago.

    It is none of those that clients are given: a client of somebody else would have it while a
    server is down that comes back.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def accepts(port: int) -> bool:
    """Whether something listens on 127.0.0.1:``port``."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def find(name: str, *folders: str) -> str:
    """The path of a server's program; the test is skipped where it is not installed.

    With ``EDGESTREAM_REQUIRE_SERVERS=1`` (as in CI) a missing server is a failure.
    """
    path = shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"], "/usr/sbin"]))
    if path is None:
        if os.environ.get("EDGESTREAM_REQUIRE_SERVERS") == "1":
            pytest.fail(f"{name} is not installed; scripts/test installs it")
        pytest.skip(f"{name} is not installed")
    return path


class Process:
    """A child process in a session of its own, with its output in a file."""

    def __init__(self, command: Sequence[str], log: Path, **options: object) -> None:
        self.command = list(command)
        self.log = log
        self._options = options
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def start(self, ready: Callable[[], bool], seconds: float = 20.0) -> None:
        """Start and wait until ``ready``; fails with the log's end if it does not get there."""
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(  # type: ignore[call-overload]
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._options,
            )
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.command[0]} did not get ready:\n{tail}")
            time.sleep(0.02)

    def terminate(self, seconds: float = 10.0) -> int | None:
        """SIGTERM, then SIGKILL if it takes longer than ``seconds``; returns the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert self._child is not None
                self._child.wait(seconds)
        self.kill()
        return self.returncode

    def kill(self) -> None:
        """SIGKILL the process, by its own id."""
        if self._child is not None:
            if self._child.poll() is None:
                self._child.kill()
            self._child.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)
