"""One HTTP/1.1 connection: h11 over asyncio streams, with a limit on everything a peer can hold.

A peer that is slow, silent, too talkative or wrong costs at most one bounded buffer for a few
seconds; after any error it is answered and the connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeAlias

import h11

from edgestream.web.answers import Answer, text
from edgestream.web.peers import Limits, bracketed

_READ = 4096


Respond: TypeAlias = Callable[[h11.Request, str], Answer]


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond, limits: Limits
) -> None:
    """Answer requests, one after the other, until the peer leaves or an answer ends it."""
    # Zero: drain() comes back when the system has taken everything.
    writer.transport.set_write_buffer_limits(0)
    try:
        # A peer that left, or takes too long to read, is owed nothing.
        with contextlib.suppress(ConnectionError, TimeoutError):
            await _answer_all(reader, writer, respond, limits)
    finally:
        writer.transport.abort()


async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tell one peer too many that the worker is busy."""
    http = h11.Connection(h11.SERVER)
    try:
        writer.write(_encode(http, text(503, "too many connections", Retry_After="10"), False))
        await _part(reader, writer)
    finally:
        writer.transport.abort()


async def _answer_all(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond, limits: Limits
) -> None:
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
    local = bracketed((writer.get_extra_info("sockname") or [""])[0])
    while True:
        answer, head = await _next_answer(http, reader, respond, local, limits)
        if answer is None:
            return
        writer.write(_encode(http, answer, head))
        async with asyncio.timeout(limits.answer_seconds):
            await writer.drain()
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return await _part(reader, writer)
        http.start_next_cycle()


async def _next_answer(
    http: h11.Connection,
    reader: asyncio.StreamReader,
    respond: Respond,
    local: str,
    limits: Limits,
) -> tuple[Answer | None, bool]:
    """The answer to the next request, and whether only its head is wanted."""
    try:
        async with asyncio.timeout(limits.request_seconds):
            request = await _receive(http, reader)
    except TimeoutError:
        begun = bool(http.trailing_data[0])
        return (text(408, "the request did not arrive in time") if begun else None), False
    except h11.RemoteProtocolError as error:
        return text(error.error_status_hint, str(error)), False
    if request is None:
        return None, False
    return respond(request, local), request.method == b"HEAD"


async def _receive(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The next request's head, or None when the peer is done."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_READ))
        elif isinstance(event, h11.Request):
            http.next_event()  # the end of a request without a body; a body is refused unread
            return event
        else:
            return None


def _encode(http: h11.Connection, answer: Answer, head: bool) -> bytes:
    parts = [
        http.send(
            h11.Response(status_code=answer.status, reason=answer.reason, headers=answer.headers())
        )
    ]
    if not head:
        parts.append(http.send(h11.Data(data=answer.body)))
    parts.append(http.send(h11.EndOfMessage()))
    return b"".join(part for part in parts if part)


async def _part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the peer read the last answer: closing on unread input would take it back."""
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(1.0):
            while await reader.read(_READ):
                pass
