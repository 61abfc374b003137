"""One connection to Redis that never tries again by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from edgestream_connectors.redis.commands import Word
from edgestream_connectors.redis.errors import about_its_rows, explained
from edgestream_connectors.redis.fence import Fence

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

PIPELINE = 1000
"""Commands sent before their replies are awaited."""


class Connection:
    """Commands in, refusals out; errors are those of the contract and name ``place``."""

    def __init__(self, client: Client, place: str, fence: Fence | None) -> None:
        """Use a client; nothing is sent yet."""
        self._client = client
        self._place = place
        self._fence = fence

    @classmethod
    async def open(
        cls, url: str, place: str, password: str | None, timeout: float, fence: Fence | None = None
    ) -> Connection:
        """Connect, see whether it answers, and claim the fence."""
        from redis.asyncio import Redis as Client  # noqa: PLC0415 - only where a pipeline names it
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        client = Client.from_url(
            url,
            password=password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,  # WAIT and WATCH speak of their own connection
        )
        made = cls(client, place, fence)
        try:
            with explained(place):
                await client.ping()
            if fence is not None:
                await fence.claim(client)
        except BaseException:
            await made.close()
            raise
        return made

    async def send(self, commands: Sequence[Sequence[Word]]) -> dict[int, str]:
        """Send commands and await the replies; which were refused, by position, and why."""
        refused: dict[int, str] = {}
        for start in range(0, len(commands), PIPELINE):
            replies = await self._send(commands[start : start + PIPELINE])
            for position, reply in enumerate(replies, start):
                if isinstance(reply, Exception):
                    with explained(f"{self._place} {commands[position][1]}"):
                        refused[position] = f"Redis: {about_its_rows(reply)}"
        return refused

    async def check(self) -> None:
        """Raise `es.Fenced` where another worker has taken over."""
        if self._fence is not None:
            await self._fence.send(self._client, [])

    async def _send(self, part: Sequence[Sequence[Word]]) -> Sequence[Any]:
        if self._fence is not None:
            return await self._fence.send(self._client, part)
        pipe = self._client.pipeline(transaction=False)
        for words in part:
            pipe.execute_command(*words)
        with explained(self._place):
            return cast("Sequence[Any]", await pipe.execute(raise_on_error=False))

    async def replicated(self, replicas: int, seconds: float) -> int:
        """How many replicas have everything sent so far, waiting for as many as wanted."""
        with explained(self._place):
            return int(await self._client.wait(replicas, int(seconds * 1000)))

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()
