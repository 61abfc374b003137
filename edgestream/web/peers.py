"""What a peer of the endpoint may take, and how its address is written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may take: bytes of headers, seconds for a request or an answer, connections."""

    header_bytes: int = 8192
    request_seconds: float = 10.0
    answer_seconds: float = 10.0
    connections: int = 32


def bracketed(address: str) -> str:
    """An address as it stands in a URL: ``[::1]``, ``127.0.0.1``."""
    plain = address.partition("%")[0]
    # An IPv4 peer on a socket that takes both kinds.
    plain = plain.removeprefix("::ffff:") if "." in plain else plain
    return f"[{plain}]" if ":" in plain else plain
