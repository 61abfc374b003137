"""Messages published with QoS 1 that the server has not acknowledged: ids, window, refusals.

Rule: never more in flight than the server's Receive Maximum, and never an id twice.
"""

from __future__ import annotations

from edgestream_connectors.mqtt.packets import Puback
from edgestream_connectors.mqtt.reasons import reason

_IDS = 65_535


class Outgoing:
    """The window of one connection."""

    def __init__(self, window: int) -> None:
        """Allow ``window`` messages in flight."""
        self._window = min(window, _IDS)
        self._rows: dict[int, int] = {}
        self._last = 0
        self.refused: dict[int, str] = {}

    def __len__(self) -> int:
        """How many are in flight."""
        return len(self._rows)

    def room(self) -> int:
        """How many more may be sent now."""
        return self._window - len(self._rows)

    def send(self, row: int) -> int:
        """The packet id for a row's message; there must be room."""
        self._last = self._last % _IDS + 1
        while self._last in self._rows:
            self._last = self._last % _IDS + 1
        self._rows[self._last] = row
        return self._last

    def answered(self, answer: Puback) -> None:
        """A PUBACK came; an id that is not in flight (from before a restart) is let pass."""
        row = self._rows.pop(answer.packet_id, None)
        if row is not None and answer.code >= 0x80:
            self.refused[row] = f"the server refused it: {reason(answer.code, answer.said)}"
