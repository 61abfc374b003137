"""Persons, auctions and bids of an online auction, made from a seed.

Of every 50 events one is a new person, three are new auctions and 46 are bids, as the paper has it.
Half of the bids go to one hot auction of the moment, three quarters of them come from one hot
bidder, and three quarters of the auctions are of one hot seller. All rows together take two minutes
of event time around midnight, so that days are told apart; rows come up to two seconds late.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

START = 1_767_225_540_000
"""2025-12-31T23:59:00Z in ms."""
LASTS = 120_000
JITTER = 2_000
FIRST = 1_000
"""The first number of a person, and of an auction."""
_GROUP = 50
_AUCTIONS = 3
_HOT_GROUP = 100
_ACTIVE = 100
_CHANNELS = ("Apple", "Baidu", "Facebook", "Google")
_STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
_CITIES = ("Bend", "Boise", "Cheyenne", "Kent", "Phoenix", "Portland", "Redmond", "Seattle")
_FIRST_NAMES = ("Ada", "Kim", "Luc", "Noor", "Olga", "Pau", "Rui", "Sara", "Tom", "Vera")
_LAST_NAMES = ("Abel", "Bauer", "Costa", "Dubois", "Evans", "Ferrer", "Ito", "Jones", "Kaya")
_WORDS = ("amber", "brass", "clock", "desk", "easel", "flute", "globe", "harp", "icon", "jar")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TEXTS = 997


@dataclass(frozen=True, slots=True)
class _Draw:
    """Random numbers of one kind of event, with its times and numbers in ms."""

    rng: np.random.Generator
    index: NDArray[np.int64]
    times: NDArray[np.int64]

    def whole(self, most: int | NDArray[np.int64]) -> NDArray[np.int64]:
        return self.rng.integers(0, most, len(self.index))

    def chance(self, part: float) -> NDArray[np.bool_]:
        return self.rng.random(len(self.index)) < part


def write(count: int, folder: Path, seed: int = 1) -> None:
    """``count`` events into ``events.ndjson``, in the order in which they come."""
    rng = np.random.default_rng(seed)
    index = np.arange(count)
    times = START + index * LASTS // max(count, 1) - rng.integers(0, JITTER, count)
    place = index % _GROUP
    texts = _texts(rng)
    kinds = (
        (place == 0, _persons),
        ((place > 0) & (place <= _AUCTIONS), _auctions),
        (place > _AUCTIONS, _bids),
    )
    lines: list[bytes] = [b""] * count
    for chosen, make in kinds:
        rows = np.flatnonzero(chosen)
        for row, line in zip(
            rows.tolist(), make(_Draw(rng, rows, times[rows]), texts), strict=True
        ):
            lines[row] = line
    (folder / "events.ndjson").write_bytes(b"\n".join(lines) + b"\n")


def _texts(rng: np.random.Generator) -> list[bytes]:
    drawn = rng.integers(0, len(_LETTERS), (_TEXTS, 40))
    sizes = rng.integers(10, 40, _TEXTS)
    words = ["".join(_LETTERS[letter] for letter in row) for row in drawn.tolist()]
    return [word[:size].encode() for word, size in zip(words, sizes.tolist(), strict=True)]


def _latest(index: NDArray[np.int64], each: int, first_place: int) -> NDArray[np.int64]:
    """How many persons (one a group) or auctions (three a group) there were by an event."""
    inside = np.clip(index % _GROUP - first_place + 1, 0, each)
    return index // _GROUP * each + inside


def _persons(draw: _Draw, texts: list[bytes]) -> list[bytes]:
    number = FIRST + draw.index // _GROUP
    form = (
        b'{"event":"person","id":%d,"name":"%s %s","email_address":"%s@%s.example",'
        b'"credit_card":"%04d %04d %04d %04d","city":"%s","state":"%s","date_time":%d,"extra":"%s"}'
    )
    columns = [
        number.tolist(),
        _choose(draw, _FIRST_NAMES),
        _choose(draw, _LAST_NAMES),
        _choose(draw, _WORDS),
        _choose(draw, _WORDS),
        *(draw.whole(10_000).tolist() for _ in range(4)),
        _choose(draw, _CITIES),
        _choose(draw, _STATES),
        draw.times.tolist(),
        _choose(draw, texts),
    ]
    return [form % row for row in zip(*columns, strict=True)]


def _auctions(draw: _Draw, texts: list[bytes]) -> list[bytes]:
    number = FIRST + _latest(draw.index, _AUCTIONS, 1) - 1
    known = _latest(draw.index, 1, 0)
    seller = np.where(draw.chance(0.75), _hot(known), _recent(draw, known, 1_000))
    first = draw.whole(10_000) + 100
    form = (
        b'{"event":"auction","id":%d,"item_name":"%s %s","description":"%s","initial_bid":%d,'
        b'"reserve":%d,"date_time":%d,"expires":%d,"seller":%d,"category":%d,"extra":"%s"}'
    )
    columns = [
        number.tolist(),
        _choose(draw, _WORDS),
        _choose(draw, _WORDS),
        _choose(draw, texts),
        first.tolist(),
        (first + draw.whole(100_000)).tolist(),
        draw.times.tolist(),
        (draw.times + 1_000 + draw.whole(20_000)).tolist(),
        (FIRST + seller).tolist(),
        (10 + draw.whole(5)).tolist(),
        _choose(draw, texts),
    ]
    return [form % row for row in zip(*columns, strict=True)]


def _bids(draw: _Draw, texts: list[bytes]) -> list[bytes]:
    auctions, persons = _latest(draw.index, _AUCTIONS, 1), _latest(draw.index, 1, 0)
    auction = np.where(draw.chance(0.5), _hot(auctions), _recent(draw, auctions, _ACTIVE))
    bidder = np.where(draw.chance(0.75), _hot(persons), _recent(draw, persons, 1_000))
    price = np.rint(10 ** (draw.rng.random(len(draw.index)) * 6) * 100).astype(np.int64)
    channels = [f"channel-{number}" for number in range(1_000)]
    channel = np.where(draw.chance(0.5), draw.whole(4), 4 + draw.whole(len(channels)))
    names = [name.encode() for name in (*_CHANNELS, *channels)]
    form = (
        b'{"event":"bid","auction":%d,"bidder":%d,"price":%d,"channel":"%s",'
        b'"url":"https://auction.example/%s/%s/%s/item.htm?query=%d","date_time":%d,"extra":"%s"}'
    )
    columns = [
        (FIRST + auction).tolist(),
        (FIRST + bidder).tolist(),
        price.tolist(),
        [names[number] for number in channel.tolist()],
        *(_choose(draw, _WORDS) for _ in range(3)),
        draw.whole(9).tolist(),
        draw.times.tolist(),
        _choose(draw, texts),
    ]
    return [form % row for row in zip(*columns, strict=True)]


def _hot(known: NDArray[np.int64]) -> NDArray[np.int64]:
    """The hot one of the moment: another for each hundred that were made."""
    return (known - 1) // _HOT_GROUP * _HOT_GROUP


def _recent(draw: _Draw, known: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """One of the latest so many."""
    return known - 1 - draw.whole(np.minimum(known, most))


def _choose(draw: _Draw, words: tuple[str, ...] | list[bytes]) -> list[bytes]:
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return [encoded[number] for number in draw.whole(len(encoded)).tolist()]
