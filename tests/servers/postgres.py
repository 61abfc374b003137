"""A real PostgreSQL: one cluster on a free loopback port, ended by its own process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers.process import Process, find, free_port

FOLDERS = tuple(f"/usr/lib/postgresql/{version}/bin" for version in (18, 17, 16, 15))
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",  # a test kills the server, never the machine
    "shared_buffers=16MB",
    "max_connections=30",
    "deadlock_timeout=100ms",
    "max_wal_size=128MB",
)


class Postgres:
    """A server whose superuser is ``postgres``; making its files takes two seconds, once.

    With ``password`` every login needs it (scram), without it none does (trust).
    """

    def __init__(self, password: str = "") -> None:
        self.password = password
        self.port = free_port()
        self._program = Path(find("postgres", *FOLDERS))
        self._folder = Path(tempfile.mkdtemp(prefix="edgestream-postgres-"))
        self._process = Process(
            [str(self._program), "-D", str(self._data), "-p", str(self.port), *_words(SETTINGS)],
            self._folder / "log",
            **self._owner(),
        )

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Postgres:
        """Make the files where there are none yet, start, wait until it answers."""
        if not self._data.exists():
            self._make()
        self._process.start(self._answers)
        return self

    def stop(self) -> None:
        """Cut off the sessions and stop in good order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop at once, as in a crash: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop and take the files away."""
        self.kill()
        shutil.rmtree(self._folder)

    def _end(self, number: signal.Signals) -> None:
        if self._process.running:
            self._process.signal(number)
            self._process.terminate(20)

    def _make(self) -> None:
        command = [str(self._program.with_name("initdb")), "-D", str(self._data), "-U", "postgres"]
        command += ["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        owner = self._owner()
        if "user" in owner:
            shutil.chown(self._folder, owner["user"], owner["group"])
        if self.password:
            secret = self._folder / "password"
            secret.write_text(self.password)
            command += ["--auth=scram-sha-256", f"--pwfile={secret}"]
        else:
            command += ["--auth=trust"]
        made = subprocess.run(command, capture_output=True, check=False, cwd="/", **owner)
        assert made.returncode == 0, made.stderr.decode()

    def _answers(self) -> bool:
        ask = [str(self._program.with_name("pg_isready")), "-q", "-h", "127.0.0.1"]
        return subprocess.run([*ask, "-p", str(self.port)], check=False).returncode == 0

    def _owner(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root: it then runs as the user that its package made."""
        if os.geteuid() != 0:
            return {}
        return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _words(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("-c", setting)]
