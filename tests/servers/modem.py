"""LoRa modems on a pseudo-terminal: a REYAX RYLR998 that knows its AT commands, and an ESP32.

The port is a symbolic link, so that a modem can be unplugged and plugged in again at one path.
For a try-out beside the tests: ``python -m tests.servers.modem /tmp/ttyLORA --every 3``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import select
import threading
import time
import tty
from collections.abc import Sequence
from pathlib import Path


class Pty:
    """Something behind a serial port; what the other side writes goes to `heard`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = self._slave = -1
        self._thread: threading.Thread | None = None
        self._stop_read = self._stop_write = -1
        self._sending = threading.Lock()

    def __enter__(self) -> Pty:
        self.plug()
        return self

    def __exit__(self, *exc: object) -> None:
        self.unplug()

    def plug(self) -> None:
        """Appear at the path."""
        self._master, self._slave = os.openpty()
        # The own end stays open, so that the master lives while no program has the port.
        tty.setraw(self._slave)
        self._stop_read, self._stop_write = os.pipe()
        link = self.path.with_name(self.path.name + ".new")
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))
        link.replace(self.path)
        self._thread = threading.Thread(target=self._listen, name="modem", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Vanish: the other side gets an error, the path is gone. Safe to call twice."""
        if self._thread is None:
            return
        self.path.unlink(missing_ok=True)
        os.write(self._stop_write, b"x")
        self._thread.join()
        self._thread = None
        for fd in (self._master, self._slave, self._stop_read, self._stop_write):
            os.close(fd)

    def replug(self) -> None:
        """Out and in again."""
        self.unplug()
        self.plug()

    def send(self, data: bytes, pieces: int = 1) -> None:
        """Write to the port, in so many pieces."""
        size = max(1, -(-len(data) // pieces))
        with self._sending:
            for start in range(0, len(data), size):
                left = data[start : start + size]
                while left:
                    left = left[os.write(self._master, left) :]
                if pieces > 1:
                    time.sleep(0.001)

    def heard(self, data: bytes) -> None:
        """What the other side wrote."""

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            self.heard(os.read(self._master, 4096))


class Rylr(Pty):
    """A REYAX RYLR998: settings, answers and errors as in its AT command guide."""

    def __init__(self, path: Path, deaf: bool = False) -> None:
        super().__init__(path)
        self.deaf = deaf
        self.noisy = 0
        self.commands: list[str] = []
        self.flash = {"ADDRESS": "0", "NETWORKID": "18", "IPR": "115200"}
        self.memory: dict[str, str] = {}
        self._line = bytearray()

    def plug(self) -> None:
        self.memory = {
            "BAND": "915000000",
            "PARAMETER": "9,7,1,12",
            "MODE": "0",
            "CRFOP": "22",
            "CPIN": "No Password!",
        }
        self.memory |= {name: self.flash[name] for name in self.memory if name in self.flash}
        self._line.clear()
        super().plug()

    def receive(
        self, data: bytes, address: int = 7, rssi: int = -60, snr: int = 11, pieces: int = 1
    ) -> None:
        """A packet came by radio: tell the other side."""
        head = b"+RCV=%d,%d," % (address, len(data))
        self.send(head + data + b",%d,%d\r\n" % (rssi, snr), pieces)

    def heard(self, data: bytes) -> None:
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[: end + 1])
            del self._line[: end + 1]
            if not self.deaf:
                self.send(self.answer(line).encode() + b"\r\n")

    def answer(self, line: bytes) -> str:
        """The answer to one line."""
        command = line.decode("latin-1").rstrip("\r\n")
        self.commands.append(command)
        if self.noisy:
            self.noisy -= 1
            return "+ERR=2"
        if not line.endswith(b"\r\n"):
            return "+ERR=1"
        if not command.startswith("AT"):
            return "+ERR=2"
        if command in ("AT", "AT+RESET"):
            return "+OK" if command == "AT" else "+RESET\r\n+READY"
        name, sign, value = command.removeprefix("AT+").partition("=")
        if not sign and name.endswith("?"):
            return self.tell(name[:-1])
        return self.set(name, value) if sign else "+ERR=4"

    def tell(self, name: str) -> str:
        """The answer to a question."""
        if name in ("UID", "VER"):
            return {"UID": "+UID=104737333437353600170029", "VER": "+VER=RYLR998_REYAX_V1.2.2"}[
                name
            ]
        known = {**self.flash, **self.memory}
        return f"+{name}={known[name]}" if name in known else "+ERR=4"

    def set(self, name: str, value: str) -> str:
        """The answer to a setting."""
        plain, memory = re.subn(",M$", "", value)
        allowed = {
            "ADDRESS": value.isdigit() and int(value) <= 65_535,
            "NETWORKID": value.isdigit() and (3 <= int(value) <= 15 or value == "18"),
            "BAND": plain.isdigit() and 820_000_000 <= int(plain) <= 960_000_000,
            "PARAMETER": bool(re.fullmatch(r"([5-9]|1[01]),[7-9],[1-4],\d{1,2}", value)),
            "CPIN": bool(re.fullmatch(r"[0-9A-Fa-f]{8}", plain)),
            "MODE": value.split(",", maxsplit=1)[0] in ("0", "1", "2"),
            "CRFOP": value.isdigit() and int(value) <= 22,
            "IPR": value.isdigit(),
        }
        if name not in allowed:
            return "+ERR=4"
        if not allowed[name]:
            return "+ERR=15"
        if name == "PARAMETER" and self.flash["NETWORKID"] != "18" and value.split(",")[3] != "12":
            return "+ERR=18"
        store = self.flash if name in self.flash else self.memory
        store[name] = plain.lower() if name == "CPIN" else plain
        if memory:
            self.flash[name] = plain
        return f"+IPR={value}" if name == "IPR" else "+OK"


class Esp32(Pty):
    """A microcontroller that prints one line a packet and listens to nothing."""

    def print(self, line: bytes, pieces: int = 1) -> None:
        """Print a line."""
        self.send(line + b"\r\n", pieces)


def main(arguments: Sequence[str] | None = None) -> None:
    """A garden with three sensors, at a path, until interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between packets")
    parser.add_argument("--lines", action="store_true", help="an ESP32 instead of a modem")
    chosen = parser.parse_args(arguments)
    chance = random.Random(1)
    device: Rylr | Esp32 = Esp32(chosen.path) if chosen.lines else Rylr(chosen.path)
    with contextlib.suppress(KeyboardInterrupt), device:
        while True:
            for number in (1, 2, 3):
                reading = {"t": chance.randint(15, 30), "h": chance.randint(40, 90), "d": number}
                data = json.dumps(reading, separators=(",", ":")).encode()
                if isinstance(device, Rylr):
                    device.receive(data, number, chance.randint(-110, -40), chance.randint(-5, 12))
                else:
                    device.print(data)
                time.sleep(chosen.every / 3)


if __name__ == "__main__":
    main()
