"""Who may write: a key per sink that holds the epoch of the latest worker.

Rule: commands go out as ``MULTI … EXEC`` while the key is watched, so Redis itself carries out none
of them once another worker has set it; the watch for the next ones travels with them, so a fence
costs no round trip of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import edgestream as es
from edgestream_connectors.redis.errors import about_its_rows, explained

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

    from edgestream_connectors.redis.commands import Word


@dataclass(slots=True)
class Fence:
    """The key of one sink, and the worker that holds it."""

    place: str
    step: str
    store: str
    epoch: int
    _armed: bool = False

    @property
    def key(self) -> str:
        """Where the epoch stands."""
        return f"edgestream:epoch:{self.step}"

    async def claim(self, client: Client) -> None:
        """Put our epoch there; raises `es.Fenced` where a later one of the same state is."""
        with explained(f"{self.place} {self.key}"):
            while True:
                pipe: Any = client.pipeline(transaction=True)  # partly without annotations
                try:
                    await pipe.watch(self.key)
                    if self._later(_text(await pipe.get(self.key))):
                        raise es.Fenced(self.place, self.step)
                    pipe.multi()
                    pipe.set(self.key, self._value())
                    if await _executed(pipe):
                        break
                finally:
                    await pipe.reset()
        await self.send(client, [])

    async def send(self, client: Client, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Carry out commands, all of them or, where the key is no longer ours, none.

        Raises `es.Fenced`; a reply that is an error is returned as it is.
        """
        pipe: Any = client.pipeline(transaction=False)
        add = pipe.execute_command
        if self._armed and commands:
            add("MULTI")
            for words in commands:
                add(*words)
            add("EXEC")
        # In small letters, which Redis does not mind: in large ones the driver would send it alone,
        # and undo it when the pipeline is done.
        add("watch", self.key)
        add("GET", self.key)
        with explained(self.place):
            replies = await pipe.execute(raise_on_error=False)
            held, self._armed = replies[-1], True
            if isinstance(held, Exception):
                raise held
            if _text(held) != self._value():
                raise es.Fenced(self.place, self.step)
            return self._done(replies[1:-3], replies[-3], commands) if len(replies) > 2 else []

    def _done(
        self, queued: Sequence[Any], made: Any, commands: Sequence[Sequence[Word]]
    ) -> list[Any]:
        for reply, words in zip(queued, commands, strict=True):
            if isinstance(reply, Exception):  # refused before anything was carried out
                with explained(f"{self.place} {words[1]}"):
                    about_its_rows(reply)
                raise reply
        if isinstance(made, Exception):
            raise made
        if made is None:
            # The key was touched. Where it is still ours, whoever did it meant no harm.
            raise es.Retry(f"{self.place}: {self.key} was changed meanwhile")
        return list(made)

    def _value(self) -> str:
        return f"{self.store} {self.epoch}"

    def _later(self, held: str | None) -> bool:
        store, _, epoch = (held or "").partition(" ")
        return store == self.store and epoch.isdigit() and int(epoch) > self.epoch


async def _executed(pipe: Any) -> bool:
    from redis.exceptions import WatchError  # noqa: PLC0415 - only where a pipeline names the sink

    try:
        await pipe.execute()
    except WatchError:
        return False
    return True


def _text(reply: Any) -> str | None:
    return reply.decode() if isinstance(reply, bytes) else reply
