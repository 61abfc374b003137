"""Changing inputs: bytes flipped, cut, doubled, joined, and words of a grammar put in."""

from __future__ import annotations

import random
from collections.abc import Sequence

LONGEST = 4096
_ODD = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\xff" * 8, b"\x7f" + b"\xff" * 7)
_NUMBERS = (b"0", b"-1", b"1e999", b"9" * 40, b"NaN", b"-0.0", b"9223372036854775808")


def changed(chance: random.Random, pool: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the pool with some changes."""
    made = bytearray(chance.choice(pool))
    for _ in range(1 + int(chance.expovariate(0.5))):
        _change(chance, made, pool, words)
    return bytes(made[:LONGEST])


def _change(
    chance: random.Random, made: bytearray, pool: Sequence[bytes], words: Sequence[bytes]
) -> None:
    at = chance.randrange(len(made) + 1)
    until = min(len(made), at + 1 + int(chance.expovariate(0.2)))
    kind = chance.randrange(9)
    if kind == 0 and made:
        made[at % len(made)] ^= 1 << chance.randrange(8)
    elif kind == 1 and made:
        made[at % len(made)] = chance.randrange(256)
    elif kind == 2:
        del made[at:until]
    elif kind == 3:
        made[at:at] = made[at:until] * chance.choice((1, 2, 50))
    elif kind == 4:
        other = chance.choice(pool)
        cut = chance.randrange(len(other) + 1)
        made[at:] = other[cut:]
    elif kind == 5:
        del made[at:]
    elif kind == 6:
        made[at:at] = chance.choice(_ODD + _NUMBERS)
    elif kind == 7 and words:
        made[at:at] = chance.choice(words)
    else:
        made[at:until] = chance.randbytes(until - at)
