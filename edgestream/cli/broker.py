"""The demo's MQTT broker: a mosquitto that is on the PATH, else amqtt inside this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from edgestream.errors import Fatal

CONFIG = """listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
persistence false
"""
GUARD = """
"$@" 3<&- &
broker=$!
{ read -r nothing; kill "$broker"; } <&3 2>/dev/null &
guard=$!
wait "$broker"
kill "$guard" 2>/dev/null
"""
"""Ends the broker once nobody holds the other end of standard input any more.

So it ends with a demo that was killed, which can say no last word. A signal at the death of the
parent (`PR_SET_PDEATHSIG`) would be lost where the broker, started by root, becomes another user.
"""


def free_port() -> int:
    """A port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """A broker on a free loopback port: (its URL, what it is)."""
    port = free_port()
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    started = _mosquitto(program, port, folder) if program else _amqtt(port)
    async with started as name:
        yield f"mqtt://127.0.0.1:{port}", name


@contextlib.asynccontextmanager
async def _mosquitto(program: str, port: int, folder: Path) -> AsyncIterator[str]:
    config = folder / "mosquitto.conf"
    config.write_text(CONFIG.format(port=port))
    with (folder / "mosquitto.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", f"exec 3<&0 </dev/null{GUARD}", "sh", program, "-c", str(config),
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    assert child.stdin is not None, "it was asked for"
    try:
        await _listening(port)
        yield "mosquitto"
    finally:
        child.stdin.close()
        await child.wait()


@contextlib.asynccontextmanager
async def _amqtt(port: int) -> AsyncIterator[str]:
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 - only the demo without mosquitto
    except ImportError as error:
        raise Fatal(
            "the demo needs an MQTT broker: apt-get install mosquitto, or pip install "
            "'edgestream[demo]' for one in Python",
            exit_code=78,
        ) from error
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.ERROR)
    embedded = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await embedded.start()
    try:
        yield "amqtt (embedded)"
    finally:
        await embedded.shutdown()


async def _listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise Fatal(f"the broker did not start to listen on 127.0.0.1:{port}")
