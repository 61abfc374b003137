"""A serial port of Linux in raw mode: five methods over the standard library.

About 80 lines of ``termios`` and ``add_reader`` stand here instead of a third-party library
(serialx, the best of them, is young and brings features that a receiving modem does not use).
The rule it keeps: whatever goes wrong with the cable is `Disconnected`, with what to do about it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import termios
from pathlib import Path

import edgestream as es

GONE = "{}: the modem is gone; waiting for it to come back"


def speeds() -> list[int]:
    """The baud rates that this machine's serial ports know."""
    return sorted(int(n[1:]) for n in dir(termios) if n[0] == "B" and n[1:].isdigit() and n != "B0")


class Port:
    """One serial port that no other program can open meanwhile."""

    def __init__(self, path: str, baud: int) -> None:
        """Name the port; nothing is opened yet."""
        self.path = path
        self._speed: int = getattr(termios, f"B{baud}")
        self._fd = -1
        self._came = asyncio.Event()

    def open(self) -> None:
        """Open, lock and set up the port."""
        try:
            # Not blocking: a modem line that waits for a carrier would hang here for ever.
            self._fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _make_raw(self._fd, self._speed)
            # The lock keeps out those who ask for it, this one all others (but root).
            fcntl.ioctl(self._fd, termios.TIOCEXCL)
        except (OSError, termios.error) as error:
            self.close()
            raise _explained(self.path, error) from error

    async def ready(self, seconds: float) -> bool:
        """Wait for something to read, or for `wake`; False after ``seconds`` without."""
        loop = asyncio.get_running_loop()
        self._came.clear()
        loop.add_reader(self._fd, self._came.set)
        try:
            async with asyncio.timeout(seconds):
                await self._came.wait()
        except TimeoutError:
            # Some hubs drop a device without hanging up its port: look whether it is there.
            if not self._is_there():
                raise es.Disconnected(GONE.format(self.path)) from None
            return False
        finally:
            loop.remove_reader(self._fd)
        return True

    def wake(self) -> None:
        """Let `ready` come back at once, as if there were something to read."""
        self._came.set()

    def read(self) -> bytes:
        """All that has come, perhaps nothing."""
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise es.Disconnected(GONE.format(self.path)) from error
        if not data:
            raise es.Disconnected(GONE.format(self.path))
        return data

    def write(self, data: bytes) -> None:
        """Send a short command."""
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            raise es.Disconnected(GONE.format(self.path)) from error
        if taken < len(data):
            raise es.Disconnected(
                f"{self.path} takes no data; check the cable and its flow control"
            )

    def close(self) -> None:
        """Let go of the port; safe to call twice."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            fcntl.ioctl(fd, termios.TIOCNXCL)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ENOTTY, errno.ENODEV):
                raise
        finally:
            os.close(fd)

    def _is_there(self) -> bool:
        try:
            return Path(self.path).stat().st_rdev == os.fstat(self._fd).st_rdev
        except OSError:
            return False


def _make_raw(fd: int, speed: int) -> None:
    """Eight bits, no parity, no flow control, bytes as they come."""
    special = termios.tcgetattr(fd)[6]
    # One byte is enough to read; with zero, no data could not be told from a pulled plug.
    special[termios.VMIN], special[termios.VTIME] = 1, 0
    # Without HUPCL closing the port does not reset an ESP32.
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    termios.tcsetattr(fd, termios.TCSANOW, [0, 0, control, 0, speed, speed, special])


def _explained(path: str, error: Exception) -> es.Disconnected | es.Fatal:
    number = error.args[0] if error.args else 0
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO):
        there = sorted(map(str, Path("/dev").glob("tty[AU][CSM][MB]*")))
        seen = f"ports here: {', '.join(there)}" if there else "no USB port is here at all"
        return es.Disconnected(f"{path} is not there; is the modem plugged in? {seen}")
    if number in (errno.EACCES, errno.EPERM):
        # Not fatal: just after plugging in, the permissions come a moment later than the port.
        return es.Disconnected(
            f"no permission for {path}: add the user to the group that owns it"
            " (usermod -aG dialout USER, then log in again)"
        )
    if number in (errno.EBUSY, errno.EWOULDBLOCK):
        return es.Disconnected(f"{path} is used by another program; see which: fuser -v {path}")
    if number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return es.Fatal(f"{path} is not a serial port; name one such as /dev/ttyUSB0", 78)
    return es.Disconnected(f"{path} cannot be opened: {error}")
