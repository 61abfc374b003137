"""A first look at who answers, before the driver gets a byte of it.

The driver (asyncpg 0.32) does not come back from a message whose first byte is 0, and holds the
whole process meanwhile: no time limit can fire. Every PostgreSQL answers the request for TLS with
one letter; whatever answers with something else is not handed to the driver.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import edgestream as es

PORT = 5432
_TLS_REQUEST = bytes.fromhex("0000000804d2162f")
_ANSWERS = (b"S", b"N", b"E", b"")
"""Yes, no, an error, and a connection that is closed: what the driver makes of these is known."""


async def look(url: str, seconds: float) -> None:
    """Raise `Disconnected` where a server that is none of PostgreSQL's answers; OSError where none.

    An address that is no single one (several hosts, a socket file) is left to the driver.
    """
    parts = urlsplit(url)
    if parts.hostname is None or "," in parts.netloc or "host" in parse_qs(parts.query):
        return
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or PORT)
        try:
            writer.write(_TLS_REQUEST)
            answer = await reader.read(1)
        finally:
            writer.close()
    if answer not in _ANSWERS:
        words = "what came is no answer of PostgreSQL; is another server at this address?"
        raise es.Disconnected(f"{parts.hostname}: {words} (its first byte is 0x{answer.hex()})")
