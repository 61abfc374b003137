"""Simulated devices: what each of them measures at any moment, as pure functions in numpy.

Every value is computed from (seed, device, time) alone by a counter-based hash, so any row can be
made on its own, in any order, and is the same each time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Column, Dictionary, Strings

Floats: TypeAlias = NDArray[np.float64]
Hashes: TypeAlias = NDArray[np.uint64]
SignalName: TypeAlias = Literal["temperature", "humidity", "battery", "pressure"]

_MINUTE = 60_000_000_000
_DAY = 1440 * _MINUTE
_BITS = 2**64 - 1
# Odd multipliers that keep the streams of devices and moments apart, and those of splitmix64.
_DEVICE = np.uint64(0x9E3779B97F4A7C15)
_COUNTER = np.uint64(0xD1342543DE82EF95)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_BELL_MEAN = 2 * 65_535.0
_BELL_SCALE = 1 / (65_536 * (4 / 12) ** 0.5)


@dataclass(frozen=True)
class Moments:
    """Rows to be filled: ``device`` is a number below ``devices``, ``time`` in ns, shape (n,)."""

    seed: int
    devices: int
    device: NDArray[np.int64]
    time: NDArray[np.int64]

    def constant(self, salt: int) -> Floats:
        """A number in [0, 1) that belongs to the device and never changes."""
        if self.devices > len(self.device):
            return _unit(_hashes(self.seed, salt, self.device, np.zeros(1, np.int64)))
        every = np.arange(self.devices)
        return _unit(_hashes(self.seed, salt, every, np.zeros(1, np.int64)))[self.device]

    def noise(self, salt: int) -> Floats:
        """Independent from row to row: mean 0, deviation 1, bell-shaped, within ±3.5."""
        lanes = _hashes(self.seed, salt, self.device, self.time).view(np.uint16).reshape(-1, 4)
        total: Floats = lanes[:, 0].astype(np.float64)
        for lane in (1, 2, 3):
            total += lanes[:, lane]
        return (total - _BELL_MEAN) * _BELL_SCALE

    def walk(self, salt: int, period: int) -> Floats:
        """A smooth wandering in [−1, 1] that takes about ``period`` ns to change its mind."""
        knot = self.time // period
        part = (self.time - knot * period) / period
        part = part * part * (3 - 2 * part)
        before = _unit(_hashes(self.seed, salt, self.device, knot))
        after = _unit(_hashes(self.seed, salt, self.device, knot + 1))
        return 2 * (before + (after - before) * part) - 1

    @functools.cached_property
    def warmth(self) -> Floats:
        """The air in °C: coolest at 03:00 UTC, warmest at 15:00, wandering slowly."""
        daily: Floats = np.sin((self.time % _DAY) * (2 * np.pi / _DAY) - 2 * np.pi * 9 / 24)
        mean: Floats = 16 + 8 * self.constant(1)
        swing: Floats = 3 + 3 * self.constant(2)
        return mean + swing * daily + 1.2 * self.walk(3, 40 * _MINUTE)


def _hashes(seed: int, salt: int, device: NDArray[np.int64], counter: NDArray[np.int64]) -> Hashes:
    """64 even bits a row from (seed, salt, device, counter)."""
    offset = np.uint64((seed * 0x2545F4914F6CDD1D + salt * 0x632BE59BD9B4E019) & _BITS)
    bits = device.astype(np.uint64) * _DEVICE + (counter.astype(np.uint64) * _COUNTER + offset)
    return _scramble(bits)


def _scramble(bits: Hashes) -> Hashes:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


def _unit(bits: Hashes) -> Floats:
    even: Floats = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return even


def temperature(at: Moments) -> Floats:
    """Degrees Celsius: a daily sine, a slow wandering and sensor noise."""
    return np.round(at.warmth + 0.05 * at.noise(4), 2)


def humidity(at: Moments) -> Floats:
    """Per cent: falls by two when the air warms by one degree."""
    damp: Floats = 95 - 2 * (at.warmth - 8) + 4 * at.walk(5, 90 * _MINUTE) + 0.3 * at.noise(6)
    held: Floats = np.clip(damp, 5, 100)
    return np.round(held, 1)


def battery(at: Moments) -> Floats:
    """Per cent: from 100 down to 15 in three to six weeks, then charged again."""
    life: Floats = (21 + 21 * at.constant(7)) * _DAY
    used: Floats = (at.time / life + at.constant(8)) % 1.0
    return np.round(100 - 85 * used, 2)


def pressure(at: Moments) -> Floats:
    """Hectopascal: weather that changes over half a day."""
    return np.round(1013.25 + 14 * at.walk(9, 720 * _MINUTE) + 0.08 * at.noise(10), 2)


SIGNALS: Mapping[str, Callable[[Moments], Floats]] = MappingProxyType(
    {
        "temperature": temperature,
        "humidity": humidity,
        "battery": battery,
        "pressure": pressure,
    }
)
"""What a simulated device can measure."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices that report in turn: row i is device i mod ``devices`` at ``start`` + i · ``step``.

    ``jitter`` makes rows arrive out of order: each is older than its turn by up to as many ns.
    """

    devices: int
    start: int
    step: int
    seed: int = 0
    jitter: int = 0
    prefix: str = "sensor-"
    signals: Sequence[str] = ("temperature", "humidity", "battery")
    _names: Dictionary = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Name the devices once: all batches share the dictionary."""
        width = len(str(self.devices))
        numbers = range(1, self.devices + 1)
        names = Dictionary(f"{self.prefix}{number:0{width}d}" for number in numbers)
        object.__setattr__(self, "_names", names)

    def rows(self, first: int, count: int) -> Batch:
        """Rows ``first`` to ``first + count``: device, ts and the signals."""
        number = np.arange(first, first + count, dtype=np.int64)
        device = number % self.devices
        times = self.start + number * self.step
        if self.jitter:
            times -= (_unit(_hashes(self.seed, 11, device, number)) * self.jitter).astype(np.int64)
        at = Moments(self.seed, self.devices, device, times)
        columns: dict[str, Column] = {
            "device": Strings(device.astype(np.int32), self._names),
            "ts": (times // 1000).view("datetime64[us]"),
        }
        columns.update((name, SIGNALS[name](at)) for name in self.signals)
        return Batch(columns, times)
