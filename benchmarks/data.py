"""The readings every engine gets: made from a seed, so that the same call gives the same bytes.

A reading is about 95 bytes of JSON with five fields, two of which no case uses. Temperatures are
whole hundredths, so that the text of a payload and the number it stands for agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOPICS = "sensors/+/telemetry"
START = 1_764_000_000_000
_ON, _OFF = 20_000, 10_000


@dataclass(frozen=True, slots=True)
class Data:
    """Readings in the order in which they are sent: device, time in ms, temperature × 100."""

    device: NDArray[np.int64]
    ts: NDArray[np.int64]
    hundredths: NDArray[np.int64]

    def __len__(self) -> int:
        """How many."""
        return len(self.ts)

    @property
    def temperature(self) -> NDArray[np.float64]:
        """As the number in the payload."""
        return self.hundredths / 100

    def payloads(self) -> list[bytes]:
        """One JSON object each."""
        form = b'{"device":"sensor-%04d","ts":%d,"temperature":%.2f,"humidity":48.2,"battery":3.71}'
        columns = self.device.tolist(), self.ts.tolist(), self.temperature.tolist()
        return [form % row for row in zip(*columns, strict=True)]

    def write(self, path: Path) -> Path:
        """One payload a line."""
        path.write_bytes(b"\n".join(self.payloads()) + b"\n")
        return path


def make(
    count: int,
    devices: int,
    per_second: float,
    *,
    start: int = START,
    jitter: int = 0,
    pauses: bool = False,
    seed: int = 1,
) -> Data:
    """``count`` readings of devices at random, ``per_second`` of event time.

    Each comes up to ``jitter`` ms late. With ``pauses`` a device is silent for 10 s of every 30.
    """
    rng = np.random.default_rng(seed)
    sent = start + (np.arange(count) * (1000 / per_second)).astype(np.int64)
    device = rng.integers(0, devices, count)
    while pauses:
        # each device has its own phase; whoever is silent now is replaced by somebody else
        silent = (sent + device * 7919) % (_ON + _OFF) >= _ON
        if not silent.any():
            break
        device[silent] = rng.integers(0, devices, int(silent.sum()))
    late = rng.integers(0, jitter, count) if jitter else 0
    return Data(device, sent - late, rng.integers(-1000, 4000, count))
