"""The source `LoraSerial`: a LoRa modem on a serial port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Literal

import numpy as np

import edgestream as es
from edgestream_connectors.lora_serial.frames import Event, Frame, LineParser, Parser, RylrParser
from edgestream_connectors.lora_serial.modem import Dialogue
from edgestream_connectors.lora_serial.port import Port, speeds

STALL = 1.0
"""Seconds without a byte after which a frame that was begun is given up."""
IDLE = 5.0
"""Seconds without a byte after which to look whether the port is still there."""
RADIO_ERRORS = frozenset({"+ERR=12", "+ERR=19"})
"""What a modem says of a packet that came broken by radio."""
_COMMAND = re.compile(r"AT[ -~]{0,100}")
_PASSWORD = re.compile(r"[0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}")


@es.component(
    "lora_serial",
    shorthand="port",
    examples=(
        "lora_serial: {port: /dev/ttyUSB0, address: 1, network: 18, band: 868500000}",
        "lora_serial: {port: /dev/ttyACM0, modem: lines}",
    ),
)
class LoraSerial(es.Source):
    """Packets of a LoRa modem on a serial port.

    ``modem: rylr`` drives a REYAX RYLR896 or RYLR998: the settings given here are compared with
    the modem's own and written where they differ, then every packet it receives is one payload,
    cut out by its length, so that data may hold commas and line ends. ``modem: lines`` reads a
    microcontroller (an ESP32 for example) that prints one packet a line. The port is locked
    against other programs. A pulled plug is waited out, and the modem set up again.

    Frames that were damaged by radio or on the line are counted (``damaged``) and lost, at most
    one for each damage: a modem repeats nothing.

    Delivery: the modem cannot send again, so what has come is journalled before anything else
    happens to it; from there on nothing is lost or counted twice. What the radio, the cable or a
    worker that is not running misses is lost; a counter in the packet shows the gaps.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "address": "The sender's address, 0 to 65535 (`rylr`).",
        "rssi": "The strength of the signal in dBm (`rylr`).",
        "snr": "Signal to noise in dB (`rylr`).",
    }

    port: str = es.option(help="The serial port.", example="/dev/ttyUSB0")
    modem: Literal["rylr", "lines"] = es.option("rylr", help="What is connected to it.")
    baud: int = es.option(115_200, help="The speed of the port.")
    address: int | None = es.option(
        None, minimum=0, maximum=65_535, help="The modem's own address."
    )
    network: int | None = es.option(
        None, minimum=0, maximum=18, help="The network; only modems of one network hear each other."
    )
    band: int | None = es.option(
        None,
        minimum=137_000_000,
        maximum=1_020_000_000,
        help="The frequency in Hz.",
        example="868500000",
    )
    parameter: Sequence[int] = es.option(
        (),
        help="Spreading factor, bandwidth, coding rate, preamble, as in the datasheet.",
        example="[9, 7, 1, 12]",
    )
    password: es.Secret | str | None = es.option(
        None,
        help="The password of the network: 8 or 32 hexadecimal digits.",
        example="${LORA_PASSWORD}",
    )
    commands: Sequence[str] = es.option(
        (), help="Further AT commands; each must be answered by +OK.", example="[AT+CRFOP=14]"
    )
    patience: es.Duration = es.option(
        "1s", minimum=1_000_000, help="How long the modem may take to answer."
    )
    linger: es.Duration = es.option("20ms", help="How long to wait for more before handing on.")
    max_line: es.Size = es.option("4KiB", minimum=16, help="The longest line (`lines`).")

    _ctx: es.Context | None = es.state()
    _port: Port | None = es.state()
    _parser: Parser = es.state(RylrParser)
    _counted: int = es.state(int)
    _early: list[Frame] = es.state(list)
    _stopped: bool = es.state(bool)

    def check(self) -> None:
        """Hold the settings against each other and against what a port can do."""
        problems: list[es.Problem] = []
        if self.baud not in speeds():
            hint = es.did_you_mean(str(self.baud), map(str, speeds()))
            problems.append(
                es.Problem(f"{self.baud} is no speed of a serial port", ("baud",), hint)
            )
        if self.parameter and len(self.parameter) != 4:
            problems.append(
                es.Problem("there are four numbers", ("parameter",), "for example [9, 7, 1, 12]")
            )
        problems += [
            es.Problem("an AT command is one line that begins with AT", ("commands", index))
            for index, command in enumerate(self.commands)
            if not _COMMAND.fullmatch(command)
        ]
        if isinstance(self.password, es.Secret) and not _PASSWORD.fullmatch(self.password.reveal()):
            problems.append(es.Problem("it has 8 or 32 hexadecimal digits", ("password",)))
        if self.modem == "lines" and (self._settings() or self.commands or self.password):
            hint = "take address, network, band, parameter, password and commands away"
            problems.append(es.Problem("nothing can be set on a modem that prints lines", (), hint))
        if problems:
            raise es.ConfigError(problems)

    def schema(self) -> es.Schema:
        """The columns of the radio."""
        if self.modem == "lines":
            return es.Schema({})
        return es.Schema({"address": "int", "rssi": "int", "snr": "float"})

    async def open(self, ctx: es.Context, resume: es.Position | None) -> None:
        """Open the port and set up the modem."""
        self._ctx = ctx
        rylr = self.modem == "rylr"
        self._parser = RylrParser() if rylr else LineParser(es.nbytes(self.max_line))
        self._counted = 0
        self._stopped = False
        self._port = Port(self.port, self.baud)
        self._port.open()
        if self.modem == "rylr":
            patience = es.nanos(self.patience).seconds
            password = self.password.reveal() if isinstance(self.password, es.Secret) else ""
            # Frames that come meanwhile are kept, even where the set-up fails half way.
            dialogue = Dialogue(self._port, self._parser, self._early, patience)
            await dialogue.set_up(self._settings(), self.commands, password)

    async def batches(self) -> AsyncIterator[es.Payloads | es.Batch]:
        """What comes within ``linger`` of each other, as one item."""
        if self._early:
            early, self._early = self._early, []
            yield self._payloads(early)
        while not self._stopped:
            try:
                events = await self._events()
            except es.Disconnected:
                # What came whole before the plug was pulled is still handed on.
                if frames := _frames(self._parser.settle()):
                    yield self._payloads(frames)
                self._count()
                raise
            self._count(sum(event in RADIO_ERRORS for event in events))
            if frames := _frames(events):
                yield self._payloads(frames)
            if "+READY" in events:
                raise es.Disconnected(f"{self.port}: the modem has restarted; setting it up again")

    def unpack(self, raw: bytes, received: int) -> es.Payloads:
        """The frames of a journalled block."""
        if self.modem == "lines":
            frames = [Frame(line, line + b"\n") for line in raw.split(b"\n")[:-1]]
        else:
            frames = _frames(RylrParser().receive(raw))
        return self._packed(frames, received)

    def stop(self) -> bool:
        """Hand on what has come, and what comes within the linger."""
        self._stopped = True
        if self._port is not None:
            self._port.wake()
        return self._port is not None

    async def close(self) -> None:
        """Let go of the port."""
        if self._port is not None:
            self._port.close()

    async def _events(self) -> list[Event]:
        port, parser = self._port, self._parser
        assert port is not None
        if not await port.ready(STALL if parser.begun else IDLE):
            return parser.settle() if parser.begun else []
        events = parser.receive(port.read())
        await asyncio.sleep(es.nanos(self.linger).seconds)
        # A plug pulled just now is found again by the next read.
        with suppress(es.Disconnected):
            events += parser.receive(port.read())
        return events

    def _payloads(self, frames: Sequence[Frame]) -> es.Payloads:
        assert self._ctx is not None
        return self._packed(frames, self._ctx.clock.wall())

    def _packed(self, frames: Sequence[Frame], received: int) -> es.Payloads:
        columns = {}
        if self.modem == "rylr":
            columns = {
                "address": np.array([frame.address for frame in frames], np.int64),
                "rssi": np.array([frame.rssi for frame in frames], np.int64),
                "snr": np.array([frame.snr for frame in frames], np.float64),
            }
        raw = b"".join(frame.raw for frame in frames)
        return es.Payloads([frame.data for frame in frames], columns, received, raw)

    def _count(self, more: int = 0) -> None:
        """Pass on what the parser threw away since last time, and ``more``."""
        new = self._parser.damaged - self._counted + more
        self._counted = self._parser.damaged
        if new and self._ctx is not None:
            self._ctx.metrics.add("damaged", new)

    def _settings(self) -> dict[str, str]:
        """AT names with their values, as the modem writes them."""
        wanted = {
            "ADDRESS": self.address,
            "NETWORKID": self.network,
            "BAND": self.band,
            "PARAMETER": ",".join(map(str, self.parameter)) or None,
        }
        return {name: str(value) for name, value in wanted.items() if value is not None}


def _frames(events: Iterable[Event]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]
