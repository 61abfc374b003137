"""Rows into Redis."""

from edgestream_connectors.redis.commands import Geo
from edgestream_connectors.redis.sink import Redis

__all__ = ["Geo", "Redis"]
