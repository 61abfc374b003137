"""Setting up a REYAX RYLR896 or RYLR998 by AT commands, each answer checked.

A setting is asked for first and only written where it differs: the modem keeps it in flash, and
flash wears out with every reconnect.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

import edgestream as es
from edgestream_connectors.lora_serial.frames import Frame, Parser
from edgestream_connectors.lora_serial.port import Port

ERRORS: Mapping[int, str] = {
    1: "the command did not end with CR LF",
    2: "the command did not begin with AT",
    3: "the command has no '='",
    4: "it does not know the command",
    5: "the data does not have the length that was announced",
    10: "sending took too long",
    11: "receiving took too long",
    12: "wrong checksum",
    13: "more than 240 bytes to send",
    14: "its flash memory could not be written",
    15: "unknown failure",
    17: "the last transmission has not ended",
    18: "it does not allow this preamble",
    19: "receiving failed, wrong header",
    20: "it does not allow this power-saving time",
}
"""The ``+ERR=n`` of both datasheets in plain words."""
NOISE = frozenset({1, 2, 12})
"""Errors of the line, not of what was asked for."""
TRIES = 3


class Dialogue:
    """Commands and their answers; frames that come in between are added to ``frames``."""

    def __init__(self, port: Port, parser: Parser, frames: list[Frame], patience: float) -> None:
        """Talk over ``port``; an answer may take ``patience`` seconds."""
        self._frames = frames
        self._port = port
        self._parser = parser
        self._patience = patience
        self._answers: deque[str] = deque()

    async def set_up(
        self, settings: Mapping[str, str], commands: Sequence[str], password: str
    ) -> None:
        """Bring the modem to these settings, then send the commands."""
        await self._greet()
        for name, value in settings.items():
            answer = await self._ask(f"AT+{name}?")
            if answer.partition("=")[2].replace(" ", "") != value:
                await self._order(f"AT+{name}={value}")
        if password:
            await self._order(f"AT+CPIN={password}", shown="AT+CPIN=***")
        for command in commands:
            await self._order(command)

    async def _greet(self) -> None:
        """Say AT until it answers +OK: the first may meet half a command of a former owner."""
        for _ in range(TRIES):
            if await self._send("AT") == "+OK":
                return
        raise es.Disconnected(
            f"{self._port.path}: no RYLR modem answers; check the port, the baud rate (new modems"
            " use 115200), the cable (RX and TX crossed) and the supply (3.3 V)"
        )

    async def _ask(self, command: str, shown: str = "") -> str:
        """The answer to a command; one that was refused is sent once more."""
        answer = await self._send(command)
        if answer is None or answer.startswith("+ERR="):
            answer = await self._send(command)
        shown = shown or command
        if answer is None:
            raise es.Disconnected(f"{self._port.path}: the modem does not answer {shown}")
        if answer.startswith("+ERR="):
            raise self._refused(shown, answer)
        return answer

    async def _order(self, command: str, shown: str = "") -> None:
        answer = await self._ask(command, shown)
        if answer != "+OK":
            raise es.Disconnected(
                f"{self._port.path}: the modem answered {answer!r} to {shown or command}, not +OK"
            )

    def _refused(self, shown: str, answer: str) -> es.Disconnected | es.Fatal:
        digits = answer.removeprefix("+ERR=")
        number = int(digits) if digits.isdigit() else -1
        words = f"{self._port.path}: the modem refuses {shown}"
        reason = f"{ERRORS.get(number, 'an error the datasheet does not list')} ({answer})"
        if number in NOISE or number not in ERRORS:
            return es.Disconnected(f"{words}: {reason}; check the cable")
        return es.Fatal(f"{words}: {reason}; check that option for this modem", 78)

    async def _send(self, command: str) -> str | None:
        """Send a command; its answer, or None where none came in time."""
        self._answers.clear()
        self._port.write(command.encode("ascii") + b"\r\n")
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while not self._answers:
            left = end - loop.time()
            if left <= 0 or not await self._port.ready(left):
                return None
            for event in self._parser.receive(self._port.read()):
                if isinstance(event, Frame):
                    self._frames.append(event)
                elif event not in ("+READY", "+RESET"):
                    self._answers.append(event)
        return self._answers.popleft()
