"""The worker's HTTP endpoint: probes, metrics, the JSON that the live page reads, and the page.

It listens on this machine only unless there is a token, shows and never changes anything, and
costs the worker about 0.5 MiB: h11 over asyncio streams in the worker's own loop. What answers is
imported when somebody first asks: it would hold up the first message after a start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterable

from edgestream.config.values import Secret
from edgestream.errors import EXIT_LOCKED, EXIT_PERMISSION, ConfigError, Fatal, Problem
from edgestream.web.peers import Limits, bracketed
from edgestream.web.view import View

_TOKEN_CHARACTERS = 16


class Server:
    """A listening endpoint; ``close()`` ends it."""

    def __init__(
        self, view: View, hosts: frozenset[str], token: bytes | None, limits: Limits
    ) -> None:
        """Show ``view`` to those who ask one of ``hosts``; `listen` starts it."""
        self._site = view, hosts, token
        self._limits = limits
        self._talks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def listen(self, address: tuple[str, int], family: int) -> None:
        """Start to accept connections; raises OSError where the address cannot be had."""
        host, port = address
        self._listener = await asyncio.start_server(
            self._accept, host, port, family=family, limit=self._limits.header_bytes
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._address[1])

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        address = ipaddress.ip_address(self._address[0])
        loopback = "::1" if address.version == 6 else "127.0.0.1"
        host = loopback if address.is_unspecified else str(address)
        return f"http://{bracketed(host)}:{self.port}/"

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._listener is None:
            return
        self._listener.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._listener.wait_closed()

    @property
    def _address(self) -> tuple[str, int]:
        if self._listener is None or not self._listener.sockets:
            raise RuntimeError("the endpoint is not listening")
        host, port, *_ = self._listener.sockets[0].getsockname()
        return host, port

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._talks) >= 2 * self._limits.connections:
            writer.transport.abort()  # even saying no has its limit
            return
        from edgestream.web.connection import converse, turn_away  # noqa: PLC0415 - see above
        from edgestream.web.routes import Site  # noqa: PLC0415

        if len(self._talks) >= self._limits.connections:
            talk = turn_away(reader, writer)
        else:
            talk = converse(reader, writer, Site(*self._site).respond, self._limits)
        task = asyncio.get_running_loop().create_task(talk)
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)


async def start(
    view: View,
    host: str = "127.0.0.1",
    port: int = 8080,
    token: Secret | None = None,
    *,
    hosts: Iterable[str] = (),
    limits: Limits | None = None,
) -> Server:
    """Serve ``view`` on ``host`` and ``port`` (0: any free port).

    ``hosts`` are further names the endpoint is reached by, such as that of a service. Raises
    ConfigError where this must not be, Fatal where the port cannot be had.
    """
    family, address = await _resolve(host, port)
    if token is None and not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
        raise ConfigError(
            Problem(
                f"http: listening on {host} needs a token, because other machines can reach it",
                hint="give one, or listen on 127.0.0.1",
            )
        )
    names = {"127.0.0.1", "localhost", "[::1]", bracketed(host.strip("[]")), *hosts}
    server = Server(
        view,
        frozenset(name.lower() for name in names - {"0.0.0.0", "[::]"}),  # noqa: S104
        None if token is None else _token_bytes(token),
        limits or Limits(),
    )
    try:
        await server.listen(address, family)
    except OSError as error:
        raise _refusal(error, host, port) from error
    return server


async def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    """The one address to listen on: a name is judged by what it stands for."""
    if not host or not 0 <= port <= 65_535:
        raise ConfigError(
            f"http: expected an address and a port from 0 to 65535, got {host}:{port}"
        )
    # "localhost" is two addresses on most machines, and nobody expects the port on only ::1.
    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    with contextlib.suppress(ValueError):  # an address needs no thread that looks it up
        family = socket.AF_INET6 if ipaddress.ip_address(name).version == 6 else socket.AF_INET
        if "%" not in name:
            return family, (name, port)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"http: {host} is no address of this machine: {error.strerror}"
        ) from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _token_bytes(token: Secret) -> bytes:
    value = token.reveal()
    if len(value) < _TOKEN_CHARACTERS or not all("!" <= character <= "~" for character in value):
        raise ConfigError(
            Problem(
                f"http: the token from {token.origin} cannot be used",
                hint=f"it must be at least {_TOKEN_CHARACTERS} plain characters without spaces, "
                "as from: openssl rand -hex 32",
            )
        )
    return value.encode("ascii")


def _refusal(error: OSError, host: str, port: int) -> ConfigError | Fatal:
    if error.errno == errno.EADDRINUSE:
        return Fatal(
            f"port {port} on {host} is in use; choose another with --http", exit_code=EXIT_LOCKED
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Fatal(
            f"port {port} on {host} is not allowed for this user; choose one from 1024 up",
            exit_code=EXIT_PERMISSION,
        )
    return ConfigError(f"http: cannot listen on {host}:{port}: {error.strerror}")
