"""The sink `Redis`: the latest row of each key as a hash, positions, a stream.

Replies are awaited in ``write``: only there can a refused row be told from its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

import edgestream as es
from edgestream_connectors.redis.commands import PLACEHOLDER, Geo, Plan, refuse_off_the_map
from edgestream_connectors.redis.connection import Connection
from edgestream_connectors.redis.fence import Fence


@es.component(
    "redis",
    extra="redis",
    examples=(
        "redis: {url: 'redis://localhost:6379/0', hash: 'sensor:{device}', ttl: 3m}",
        "redis: {url: 'redis://localhost', stream: readings, maxlen: 100000}",
        "redis: {url: 'redis://localhost', geo: {key: vehicles, member: '{cid}'}}",
    ),
)
class Redis(es.Sink):
    """Rows into Redis (or Valkey): as hashes, as positions, as a stream, or several at once.

    ``hash: "sensor:{device}"`` keeps the latest row of each device in a hash, one field a column.
    A missing value leaves its field as it was, so that a device that sends its battery once an
    hour keeps it; ``ttl`` lets a silent device vanish. ``geo`` adds a member to a GEO set;
    ``stream`` appends each row. Numbers are written as text, true and false as these words, times
    as ISO 8601 in UTC. In keys and members the value of a column has ``:``, ``%``, spaces and
    pattern characters written as ``%3A`` and so on, so that no device can write another's key.

    Delivery: hashes and positions are idempotent, what is written again after a crash changes
    nothing; a ``stream`` is at least once, an entry may be there twice. What Redis has taken is as
    safe as its own settings make it (``appendonly yes``); with ``replicas`` a checkpoint waits
    until so many replicas have it. A worker that connects claims the key
    ``edgestream:epoch:<step>``, and all commands are carried out on the condition that it still
    holds it (``WATCH``): one that ran before, and wakes up again, writes nothing any more
    (exit 75).
    """

    delivery: ClassVar[es.SinkDelivery] = "idempotent"
    fences: ClassVar[bool] = True

    url: str = es.option(help="The server.", example="redis://localhost:6379/0")
    hash: str | None = es.option(
        None, help="The key of the hash a row goes to.", example='"sensor:{device}"'
    )
    ttl: es.Duration | None = es.option(
        None, minimum=1_000_000, help="A hash expires this long after a write."
    )
    stream: str | None = es.option(None, help="The stream that rows are appended to.")
    maxlen: int | None = es.option(
        None, minimum=1, help="The stream is kept at about this many entries."
    )
    geo: Geo | None = es.option(None, help="The GEO set that positions go to.")
    password: es.Secret | str | None = es.option(
        None, help="The user's password.", example="${REDIS_PASSWORD}"
    )
    replicas: int = es.option(0, minimum=0, help="How many replicas must have the rows.")
    timeout: es.Duration = es.option("10s", minimum=1_000_000, help="How long a reply may take.")
    fence: bool = es.option(
        True, help="Keep out a worker that another has taken over from, by edgestream:epoch:<step>."
    )

    _connection: Connection | None = es.state()

    def check(self) -> None:
        """Hold the URL and the keys against what can work."""
        problems: list[es.Problem] = []
        parts = urlsplit(self.url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            hint = "write redis://host:6379/0, or rediss:// with TLS"
            problems.append(es.Problem("this is no URL of a Redis", ("url",), hint))
        if parts.password or "password=" in parts.query:
            hint = "write it beside, as password: ${VARIABLE}"
            problems.append(es.Problem("a URL is no place for a password", ("url",), hint))
        if not (self.hash or self.stream or self.geo):
            problems.append(es.Problem("say where rows go: hash, stream or geo"))
        for path, template in self._templates().items():
            if not template or re.search(r"[{}]", PLACEHOLDER.sub("", template)):
                hint = "a column stands in braces, as in sensor:{device}"
                problems.append(es.Problem("this is no key", path, hint))
        if problems:
            raise es.ConfigError(problems)
        if self.stream:
            # The promise depends on the configuration, so the object says it, not the class.
            object.__setattr__(self, "delivery", "at_least_once")

    def accepts(self, schema: es.Schema, keys: Sequence[str]) -> None:
        """Refuse keys made of columns that do not come."""
        wanted = [n for text in self._templates().values() for n in PLACEHOLDER.findall(text)]
        if self.geo is not None:
            wanted += [self.geo.longitude, self.geo.latitude]
        for name in wanted:
            schema.kind(name)

    async def open(self, ctx: es.Context) -> es.Token | None:
        """Connect and see whether it answers."""
        await self.close()
        password = self.password.reveal() if isinstance(self.password, es.Secret) else None
        seconds = es.nanos(self.timeout).seconds
        place, fence = self._place(), None
        if self.fence and ctx.epoch:
            fence = Fence(place, ctx.id, ctx.store, ctx.epoch)
        self._connection = await Connection.open(self.url, place, password, seconds, fence)
        return None

    async def write(self, batch: es.Batch) -> None:
        """Send the rows and await the replies."""
        plan = self._plan(batch)
        refused = await self._opened().send([words for words, _ in plan.commands])
        for position, reason in refused.items():
            for row in plan.commands[position][1]:
                plan.reasons.setdefault(row, reason)
        if plan.reasons:
            raise es.Rejected(plan.reasons)

    async def flush(self, token: es.Token | None) -> None:
        """All replies are here; see that nobody took over, and wait for replicas if need be."""
        await self._opened().check()
        if self.replicas:
            half = es.nanos(self.timeout).seconds / 2
            reached = await self._opened().replicated(self.replicas, half)
            if reached < self.replicas:
                raise es.Retry(f"{self._place()}: {reached} of {self.replicas} replicas answer")

    async def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _plan(self, batch: es.Batch) -> Plan:
        """The commands for a batch; what cannot be written is in none of them."""
        plan, geo = Plan.of(batch), self.geo
        keys = plan.keys(self.hash) if self.hash else []
        if geo is not None:
            refuse_off_the_map(plan, batch, geo)
            sets, members = plan.keys(geo.key), plan.keys(geo.member)
        if self.hash:
            plan.add_hashes(keys, self.ttl)
        if geo is not None and plan.good():
            plan.add_places(geo, sets, members, batch)
        if self.stream:
            plan.add_entries(self.stream, self.maxlen)
        return plan

    def _opened(self) -> Connection:
        if self._connection is None:
            raise es.Disconnected(f"{self._place()}: the sink is not open")
        return self._connection

    def _place(self) -> str:
        """The server, for people: without user, password or parameters."""
        parts = urlsplit(self.url)
        return f"redis {parts.hostname or ''}:{parts.port or 6379}{parts.path}"

    def _templates(self) -> Mapping[tuple[str, ...], str]:
        found: dict[tuple[str, ...], str] = {}
        if self.hash is not None:
            found["hash",] = self.hash
        if self.geo is not None:
            found["geo", "key"] = self.geo.key
            found["geo", "member"] = self.geo.member
        return found
