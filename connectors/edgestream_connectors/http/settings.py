"""What the HTTP source is told: where to listen, what to take, and how much."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import edgestream as es

if TYPE_CHECKING:
    import ssl

SHORTEST_TOKEN = 16


@dataclass
class ServerTls:
    """TLS of a server; certificates are read when the source opens."""

    cert: str = es.option("", help="The server's certificate with its chain (PEM); turns TLS on.")
    key: str = es.option("", help="Its key (PEM), where it is not in the same file.")
    ca: str = es.option("", help="The authority whose client certificates are required (PEM).")

    def context(self) -> ssl.SSLContext | None:
        """What to listen with; None without TLS. Raises `es.Fatal` for files of no use."""
        if not self.cert:
            return None
        import ssl  # noqa: PLC0415 - only where TLS is used

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key or None)
            if self.ca:
                context.load_verify_locations(self.ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            words = getattr(error, "strerror", None) or str(error)
            files = ", ".join(filter(None, (self.cert, self.key, self.ca)))
            raise es.Fatal(f"http: TLS cannot be set up from {files}: {words}", 78) from error
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Address:
        """``127.0.0.1:8081``, ``:8081`` (all addresses), ``[::1]:8081``; raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65_535:
            raise ValueError("expected an address and a port, such as 127.0.0.1:8081")
        host = host.strip("[]") or "0.0.0.0"  # noqa: S104 - asked for by leaving it out
        return cls("127.0.0.1" if host == "localhost" else host, int(port))

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def token_problem(token: es.Secret) -> str:
    """What is wrong with a token, or nothing."""
    value = token.reveal()
    if len(value) < SHORTEST_TOKEN or not all("!" <= sign <= "~" for sign in value):
        return f"it has at least {SHORTEST_TOKEN} plain characters without spaces"
    return ""
