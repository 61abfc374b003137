"""A real mosquitto, and certificates made on the fly for it.

    with Mosquitto(tmp_path) as broker:
        client = ... broker.url ...
        broker.restart()

Tests must not depend on its order of listeners: `url` is the plain one, `tls_url` the one with TLS.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.servers.process import Process, accepts, find, free_port


class Certificates:
    """An authority of its own with a certificate for the server and one for clients."""

    def __init__(self, folder: Path, name: str = "edgestream test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = folder / "ca.pem"
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", folder / "ca.key", "-out", self.ca),
            *("-days", "30", "-subj", f"/CN={name}"),
        )

    def make(
        self, name: str, *, days: int = 30, host: str = "localhost", password: str = ""
    ) -> tuple[Path, Path]:
        """A certificate with its key; ``days`` below zero has expired already."""
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        lock = ("-passout", f"pass:{password}") if password else ("-nodes",)
        made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *lock)
        _openssl("req", *made, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        names = self.folder / f"{name}.ext"
        names.write_text(f"subjectAltName=DNS:{host}" + ",IP:127.0.0.1" * (host == "localhost"))
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key"),
            *("-CAcreateserial", "-days", str(days), "-extfile", names, "-out", cert),
        )
        return cert, key


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    command = [find("openssl"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


class Mosquitto:
    """A broker on free loopback ports, with no limit on its queues.

    ``lines`` are added to its configuration (a later line of the same name wins in mosquitto);
    ``persistent`` keeps sessions over `restart`; ``tls`` is a certificate with its key, ``ca``
    makes it require client certificates; ``users`` maps user names to passwords.
    """

    def __init__(
        self,
        folder: Path,
        lines: Sequence[str] = (),
        *,
        persistent: bool = False,
        tls: tuple[Path, Path] | None = None,
        ca: Path | None = None,
        users: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        config = [
            *(["user root"] if os.geteuid() == 0 else []),
            f"listener {self.port} 127.0.0.1",
            *_tls_lines(self.tls_port, tls, ca),
            f"allow_anonymous {'false' if users else 'true'}",
            "max_queued_messages 0",
            "max_queued_bytes 0",
            "max_inflight_messages 0",
            f"persistence {'true' if persistent else 'false'}",
            *([f"persistence_location {folder}/"] if persistent else []),
            *([f"password_file {_passwords(folder, users)}"] if users else []),
            *lines,
        ]
        path = folder / "mosquitto.conf"
        path.write_text("\n".join(config) + "\n")
        self.log = folder / "mosquitto.log"
        self.process = Process([find("mosquitto"), "-c", str(path)], self.log)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"mqtts://localhost:{self.tls_port}"

    def start(self) -> None:
        ports = [port for port in (self.port, self.tls_port) if port]
        self.process.start(lambda: all(map(accepts, ports)))

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()

    def restart(self) -> None:
        """Stop (saving sessions where persistent) and start again on the same ports."""
        self.stop()
        self.start()

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _tls_lines(port: int, tls: tuple[Path, Path] | None, ca: Path | None) -> list[str]:
    if tls is None:
        return []
    # localhost may be either family: listen on both
    lines = [f"listener {port} localhost", f"certfile {tls[0]}", f"keyfile {tls[1]}"]
    if ca is not None:
        lines += [f"cafile {ca}", "require_certificate true"]
    return lines


def _passwords(folder: Path, users: dict[str, str]) -> Path:
    path = folder / "passwords"
    path.touch(mode=0o600)
    for name, password in users.items():
        command = [find("mosquitto_passwd"), "-b", str(path), name, password]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    return path
