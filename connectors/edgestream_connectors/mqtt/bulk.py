"""Many PUBLISH packets at once: where they begin and end is found by numpy, and then verified.

A topic shorter than 256 bytes has the byte 0 before its length, and text has no such byte: so the
zeros of a read are a guess at its packets. Rule: a packet counts only if it begins where the one
before it ends, so a wrong guess costs time, never a message; what is not found here, the loop of
`publish.scan` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream import Pieces
from edgestream_connectors.mqtt.messages import Messages

MANY = 32 * 1024
"""Bytes from which this pays."""
PIECE = 120 * 1024
"""Bytes looked at together: malloc gives larger arrays pages of their own, and takes them back."""
QOS_0 = 0x30
QOS_1 = 0x32
_DENSE = 8
"""Where more than one byte in so many is 0, it is no text that came."""
_WILD = b"+#"
_SPACE = 32
_ASCII = 127
_NEITHER = ord("@")
"""In place of a byte that is not there: printable, and no sign that is looked for."""

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


def scan(data: bytes, position: int, messages: Messages, v5: bool, limit: int) -> int:
    """Add the packets from ``position`` on that are found at once; returns where they end."""
    while len(data) - position >= MANY:
        left = len(data) - position
        size = left // -(-left // PIECE)  # all alike: no small one is left to the loop
        end = _piece(data, position, size, messages, v5, limit)
        found, position = end - position, end
        if found <= size // 2:  # where little was found, the next piece is no better
            break
    return position


def _piece(data: bytes, position: int, size: int, messages: Messages, v5: bool, limit: int) -> int:
    head = data[position]
    if head not in (QOS_0, QOS_1):
        return position
    read = np.frombuffer(data, np.uint8, size, position)
    empty = read[:-1] == 0
    if _count(empty) > len(read) // _DENSE:
        return position
    zeros = np.flatnonzero(empty)
    # without packet ids MQTT 5 has two a packet: the other is the length of no properties
    guess = zeros[:: 1 + v5] if head == QOS_0 else _likely(read, zeros, head)
    found = _verified(read, guess, head, v5, limit)
    if head == QOS_0 and len(found.ends) < len(guess) - 1:
        found = _verified(read, _likely(read, zeros, head), head, v5, limit)
    if not len(found.ends):
        return position
    end = int(found.ends[-1])
    read = read[:end]
    ascii_only = _count(read > _ASCII) == found.above(_ASCII)
    printable = ascii_only and _count(read < _SPACE) == found.below(_SPACE)
    sure = ascii_only and (printable or int(np.searchsorted(zeros, end)) == found.below(1))
    messages.bulk(
        Pieces(data, found.topics + position, found.cuts + position),
        Pieces(data, found.rests + position, found.ends + position, printable=printable),
        sure=sure and not _wild(data, position, read, found),
    )
    if head == QOS_1:
        pairs = np.stack(found.around[-2:], axis=1)
        messages.ids += pairs.view("V2").ravel().tolist()
    return position + end


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the parts of packets are, and in ``around`` the bytes before and after their topics.

    Beside those there are the first byte, and ``fixed`` bytes that are 0.
    """

    topics: Places
    cuts: Places
    rests: Places
    ends: Places
    around: Sequence[Bytes]
    fixed: int

    def below(self, limit: int) -> int:
        """How many bytes outside topics and payloads are less; -1 where a topic is empty."""
        if not self.around[0].all():
            return -1
        return len(self.ends) * self.fixed + sum(_count(part < limit) for part in self.around)

    def above(self, limit: int) -> int:
        """How many bytes outside topics and payloads are more."""
        return sum(_count(part > limit) for part in self.around)


def _bounds(read: Bytes, zeros: Places) -> tuple[Places, Places, Flags, list[Bytes]]:
    """Begin and end of the packets whose topics' lengths begin with ``zeros``; which may be such.

    Their own lengths, which come last, take one byte or two: the byte two before says which.
    """
    last = read.take(zeros - 1, mode="clip")
    before = read.take(zeros - 2, mode="clip")
    two = before > 127
    if not two.any():
        return zeros - 2, zeros + last, last < 128, [last]
    lengths = np.where(two, (before & 127) + (last.astype(np.intp) << 7), last)
    good = (last < 128) & ((last > 0) | ~two)
    return zeros - 2 - two, zeros + lengths, good, [last, np.where(two, before, _NEITHER)]


def _likely(read: Bytes, zeros: Places, head: int) -> Places:
    """Those of the zeros that stand in a packet that begins where another ends."""
    begins, ends, good, _ = _bounds(read, zeros)
    marks = np.zeros(len(read) + 1, np.bool_)
    marks[0] = True
    marks[ends[good & (ends <= len(read))]] = True
    first = read.take(begins, mode="clip") == head
    likely: Places = zeros[good & first & marks.take(begins, mode="clip")]
    return likely


def _verified(read: Bytes, zeros: Places, head: int, v5: bool, limit: int) -> _Found:
    """The packets at ``zeros`` as far as each begins where the last ended and is all there."""
    begins, ends, good, lengths = _bounds(read, zeros)
    topics = zeros + 2
    sizes = read.take(zeros + 1)
    cuts = topics + sizes
    rests = cuts + (2 * (head == QOS_1) + v5)
    good &= rests <= ends
    good &= read.take(begins, mode="clip") == head
    good[:1] &= begins[:1] == 0
    good[1:] &= begins[1:] == ends[:-1]
    if len(read) > limit:
        good &= ends - zeros <= limit
    if v5:
        good &= read.take(rests - 1, mode="clip") == 0
    count = len(good) if good.all() else int(good.argmin())
    if count and ends[count - 1] > len(read):
        count -= 1
    around = [sizes, *lengths]
    if head == QOS_1:
        around += [read.take(cuts, mode="clip"), read.take(cuts + 1, mode="clip")]
    around = [part[:count] for part in around]
    return _Found(topics[:count], cuts[:count], rests[:count], ends[:count], around, 1 + v5)


def _wild(data: bytes, position: int, read: Bytes, found: _Found) -> bool:
    """Whether a sign that is not allowed in a topic may be in one."""
    return any(
        data.find(sign, position, position + len(read)) >= 0
        and _count(read == sign) != sum(_count(part == sign) for part in found.around)
        for sign in _WILD
    )


def _count(flags: Flags) -> int:
    return int(np.count_nonzero(flags))
