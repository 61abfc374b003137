"""The HTTP source: a server that answers a request once its rows are safe."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import edgestream as es
from edgestream_connectors.http.connection import Connection
from edgestream_connectors.http.request import ID, Arrived, Pattern, packed, payloads
from edgestream_connectors.http.server import Rules, Server
from edgestream_connectors.http.settings import Address, ServerTls, token_problem

GROUP_BYTES = 1 << 20
"""Requests are journalled together up to so many bytes."""
_SECOND = 1_000_000_000


@es.component(
    "http",
    shorthand="listen",
    examples=(
        "http: 127.0.0.1:8081",
        'http: {listen: "127.0.0.1:8081", paths: ["/ingest/{device}"], headers: {X-Site: site}}',
        'http: {listen: "0.0.0.0:8443", anyone: true, tls: {cert: server.pem}, answer: 204}',
    ),
)
class Http(es.Source):
    """Rows that other programs POST: a webhook, a gateway, ``curl``.

    A request holds a JSON object, an array of objects, or an object a line
    (``application/x-ndjson``), plain or gzip; each object is a row. A body of another content
    type that is named in ``types`` is one payload for the codec of ``decode:``. Paths may name
    levels in braces, which become columns; so do the headers that are asked for.

    | answer | when | what the sender does |
    |---|---|---|
    | 202 (or 204) | all rows are safe | goes on |
    | 400 | it can never be read; the body says why and where; nothing was taken | corrects it |
    | 401, 403, 404, 405, 413, 415 | token, web page, path, method, size, type | corrects it |
    | 408 | it came too slowly | sends it again |
    | 429, 503 | too much waits, or the pipeline stops; `Retry-After` | sends it again |

    A request is taken whole or not at all. What is JSON but does not fit the pipeline (a time
    that is none) is found later, and becomes a dead letter.

    Beyond this machine a ``token`` is needed, or client certificates (``tls.ca``), or
    ``anyone: true``. Without TLS put it behind a proxy that has it.

    Delivery: a request is answered when its rows are in the journal (with ``best_effort``, when
    they were read), so what was answered is not lost. A sender that got no answer sends again:
    with the header ``Idempotency-Key``, or as a CloudEvent by its source and id, what comes twice
    is recognised and dropped, also after a crash, for ``remember`` and the last
    ``remember_most`` rows. Without either, rows may be there twice.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "path": "the path of the request (`path: true`); beside it one for each name in braces",
    }
    resends = True
    silence = 0

    listen: str = es.option(
        default="127.0.0.1:8081", help="Address and port; :8081 is all addresses.", example=":8081"
    )
    paths: Sequence[str] = es.option(
        default=("/",),
        help="The paths that are taken; {name} is a level that gives a column.",
        example="[/ingest/{device}]",
    )
    path: bool = es.option(default=False, help="Give the column path.")
    headers: Mapping[str, str] = es.option(
        factory=dict, help="Header → the column that it becomes.", example="{X-Site: site}"
    )
    token: es.Secret | str | None = es.option(
        default=None, help="What senders show: Authorization: Bearer.", example="${INGEST_TOKEN}"
    )
    anyone: bool = es.option(default=False, help="Take requests of other machines without a token.")
    types: Sequence[str] = es.option(
        default=(),
        help="Further content types; such a body is one payload.",
        example="[application/cbor]",
    )
    answer: Literal[202, 204] = es.option(
        default=202, help="The status of a request that was taken."
    )
    max_body: es.Size = es.option(
        default="1MiB",
        help="The largest body, packed and unpacked.",
        minimum=1,
        maximum=64 * 1024 * 1024,
    )
    max_held: es.Size = es.option(
        default="8MiB",
        help="Beyond so much that is not yet safe, requests are answered 429.",
        minimum=1,
    )
    connections: int = es.option(default=256, help="Clients at a time.", minimum=1, maximum=10_000)
    patience: es.Duration = es.option(
        default="30s", help="How long a request may take to arrive.", minimum=_SECOND
    )
    keep_alive: es.Duration = es.option(
        default="60s", help="How long a connection may be silent between requests.", minimum=_SECOND
    )
    linger: es.Duration = es.option(
        default="5ms",
        help="Pause to gather requests for one commit.",
        minimum=0,
        maximum=10 * _SECOND,
    )
    remember: es.Duration = es.option(
        default="1d", help="How long the ids of requests are remembered.", minimum=_SECOND
    )
    remember_most: int = es.option(
        default=100_000, help="So many ids of rows are remembered.", minimum=1, maximum=100_000_000
    )
    tls: ServerTls = es.option(factory=ServerTls, help="TLS settings.")

    _server: Server | None = es.state()
    _ctx: es.Context | None = es.state()
    _pending: deque[list[Connection]] = es.state(deque)
    _committed: int = es.state(int)

    def check(self) -> None:
        """Address, paths, token and limits must make sense together."""
        problems = [*_address_problems(self), *_path_problems(self)]
        if isinstance(self.token, es.Secret) and (why := token_problem(self.token)):
            problems.append(es.Problem(why, ("token",), "as from: openssl rand -hex 32"))
        if es.nbytes(self.max_held) < es.nbytes(self.max_body):
            problems.append(es.Problem("less than max_body: no such body fits", ("max_held",)))
        if (self.tls.key or self.tls.ca) and not self.tls.cert:
            problems.append(es.Problem("TLS needs a certificate", ("tls", "cert")))
        if problems:
            raise es.ConfigError(problems)

    def schema(self) -> es.Schema:
        """The names in the paths, the headers, and the path where it was asked for."""
        names = [*_names(self), *self.headers.values(), *(["path"] if self.path else [])]
        return es.Schema.of_kinds(dict.fromkeys(names, "string"))

    def beside(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The named levels of a path; `ConfigError` for one that is not taken."""
        path = known.get("path")
        if not isinstance(path, str):
            return known
        values = next(filter(None, (p.match(path) for p in self._patterns())), None)
        if values is None and all(p.match(path) is None for p in self._patterns()):
            hint = "taken: " + ", ".join(self.paths)
            raise es.ConfigError(es.Problem(f"nothing is taken at {path!r}", ("path",), hint))
        return {**(values or {}), **known}

    def payload_ids(self) -> es.PayloadIds:
        """The idempotency key or CloudEvents id of a request, with the number of the row."""
        return es.PayloadIds(ID, int(es.nanos(self.remember)), self.remember_most)

    async def open(self, ctx: es.Context, resume: es.Position | None) -> None:
        """Open the port."""
        self._ctx = ctx
        self._pending.clear()
        self._committed = 0
        token = self.token.reveal().encode() if isinstance(self.token, es.Secret) else None
        rules = Rules(
            tuple(self._patterns()),
            token,
            {name.lower().encode("latin-1"): column for name, column in self.headers.items()},
            self.path,
            frozenset(kind.lower() for kind in self.types),
            es.nbytes(self.max_body),
            es.nbytes(self.max_held),
            self.connections,
            es.nanos(self.patience).seconds,
            es.nanos(self.keep_alive).seconds,
        )
        self._server = Server(rules, ctx.metrics.add)
        await self._server.listen(Address.of(self.listen), self.tls.context())

    async def batches(self) -> AsyncIterator[es.Payloads]:
        """The requests that came within ``linger``, as one item."""
        server, ctx = self._server, self._ctx
        if server is None or ctx is None:
            raise es.Disconnected("the HTTP source is not open")
        linger = es.nanos(self.linger).seconds
        while True:
            if not server.waiting:
                if server.stopping:
                    return
                server.came.clear()
                await server.came.wait()
                if not server.stopping:
                    await asyncio.sleep(linger)
                continue
            requests, connections = _group(server.waiting)
            ctx.metrics.add("requests", len(requests))
            self._pending.append(connections)
            yield payloads(packed(requests), ctx.clock.wall())

    async def commit(self, items: int) -> None:
        """The rows of the first ``items`` groups are safe: answer their requests."""
        while self._committed < items and self._pending:
            for connection in self._pending.popleft():
                connection.answer(self.answer)
            self._committed += 1

    def unpack(self, raw: bytes, received: int) -> es.Payloads:
        """The payloads and columns of journalled requests."""
        return payloads(raw, received)

    def stop(self) -> bool:
        """Take no more requests; those that came are handed on and answered."""
        if self._server is not None:
            self._server.stop()
        return self._server is not None

    async def close(self) -> None:
        """Close the port; who waits is told to send again."""
        server, self._server = self._server, None
        self._pending.clear()
        if server is not None:
            await server.close()

    def _patterns(self) -> list[Pattern]:
        return [Pattern.of(text) for text in self.paths]


def _names(source: Http) -> list[str]:
    return [name for pattern in source._patterns() for name in pattern.names]


def _address_problems(source: Http) -> list[es.Problem]:
    try:
        address = Address.of(source.listen)
    except ValueError as error:
        return [es.Problem(str(error), ("listen",))]
    if address.local or source.token is not None or source.anyone or source.tls.ca:
        return []
    hint = "give token: ${INGEST_TOKEN}, or tls.ca for client certificates, or anyone: true"
    words = f"other machines can reach {source.listen}, and anybody could send rows"
    return [es.Problem(words, ("listen",), hint)]


def _path_problems(source: Http) -> list[es.Problem]:
    problems: list[es.Problem] = []
    if not source.paths:
        problems.append(es.Problem("no path is taken", ("paths",), "write [/]"))
    for index, text in enumerate(source.paths):
        try:
            Pattern.of(text)
        except ValueError as error:
            problems.append(es.Problem(str(error), ("paths", index)))
    if problems:
        return problems
    names = [*dict.fromkeys(_names(source)), *source.headers.values()]
    names += ["path"] if source.path else []
    twice = {name for name in names if names.count(name) > 1}
    return [es.Problem(f"two things give the column {n!r}", ("headers",)) for n in sorted(twice)]


def _group(waiting: list[tuple[Arrived, Connection]]) -> tuple[list[Arrived], list[Connection]]:
    """The first requests that wait, up to so many bytes; they wait no more."""
    size = count = 0
    for made, _ in waiting:
        size += sum(map(len, made.payloads))
        count += 1
        if size >= GROUP_BYTES:
            break
    taken = waiting[:count]
    del waiting[:count]
    return [made for made, _ in taken], [connection for _, connection in taken]
