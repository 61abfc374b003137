"""Where a broker is: reading its URL, and opening a link to it with errors that say what to do."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgestream import ConfigError, Disconnected, Problem
from edgestream_connectors.mqtt.link import Link, why_lost
from edgestream_connectors.mqtt.tls import Tls

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's URL, taken apart."""

    url: str
    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL; raises `ConfigError` saying what one looks like."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _bad(f"{url!r} is not a URL: {error}") from error
        if parts.username is not None or parts.password is not None:
            raise _bad("the URL holds a user name", "use the fields username and password")
        if parts.scheme not in _PORTS or not parts.hostname:
            raise _bad(f"{url!r} is not the URL of an MQTT broker")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise _bad(f"{url!r} has a path", "topics stand in the field topics")
        host, named = parts.hostname, f"[{parts.hostname}]" if ":" in parts.hostname else ""
        port = port or _PORTS[parts.scheme]
        return cls(f"{parts.scheme}://{named or host}:{port}", host, port, parts.scheme == "mqtts")


def _bad(message: str, hint: str = "write mqtt://host:1883 or mqtts://host:8883") -> ConfigError:
    return ConfigError(Problem(message, ("url",), hint))


async def open_link(link: Link, address: Address, tls: Tls) -> None:
    """Connect ``link``; raises `Disconnected` saying what is wrong and what to do about it."""
    loop = asyncio.get_running_loop()
    context = tls.context() if address.tls else None
    try:
        raw, _ = await loop.create_connection(
            lambda: link, address.host, address.port, happy_eyeballs_delay=0.25
        )
        if context is None:
            link.attach(raw, raw)
            return
        name = tls.server_name or address.host
        # upgraded here, not by create_connection, so that the pause after a read stops the socket
        secured = await loop.start_tls(raw, link, context, server_hostname=name)
        if secured is None:
            raise ConnectionAbortedError
        link.attach(secured, raw)
    except OSError as error:
        raise Disconnected(f"cannot reach {address.url}: {_why_not(error, address)}") from error


def _why_not(error: OSError, address: Address) -> str:
    """Why a connection could not be made, in words."""
    numbers = {error.errno, *map(int, re.findall(r"\[Errno (\d+)\]", str(error)))}
    if isinstance(error, socket.gaierror):
        return f"the host name {address.host!r} is not known; check url and this machine's DNS"
    if hasattr(error, "library"):
        return why_lost(error)
    if errno.ECONNREFUSED in numbers:
        return "connection refused; is the broker running?"
    if numbers & {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return "there is no way to this address; is the network up?"
    if isinstance(error, ConnectionError) and address.tls:
        return "the server broke off while TLS began; is this its TLS port?"
    if isinstance(error, TimeoutError):
        return "no answer; check the address and the firewall"
    return why_lost(error)
