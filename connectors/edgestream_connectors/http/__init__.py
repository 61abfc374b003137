"""Rows that other programs POST."""

from edgestream_connectors.http.settings import ServerTls
from edgestream_connectors.http.source import Http

__all__ = ["Http", "ServerTls"]
