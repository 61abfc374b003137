"""From payloads that are SenML packs to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.columns import Texts
from edgestream.codecs.packs import places
from edgestream.codecs.senml_records import Record, from_json, resolve
from edgestream.codecs.senml_rows import Long, Rows
from edgestream.codecs.senml_together import plain, together
from edgestream.component import Decoded, State


class Packs:
    """The state of decoding: ``read`` gives the records of a pack, ``rows`` takes them."""

    def __init__(
        self, rows: Rows, read: Callable[[bytes], Iterator[Record]], max_payload: int
    ) -> None:
        """Larger payloads are not read."""
        self._rows = rows
        self._read = read
        self._max_payload = max_payload

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good packs, and why the others are rejected."""
        first = self._together(payloads)
        done = set(first.tolist())
        good: list[int] = []
        counts: list[int] = []
        rejected: dict[int, str] = {}
        for index, payload in enumerate(payloads):
            if index in done:
                continue
            try:
                counts.append(self._add(payload))
            except ValueError as error:
                rejected[index] = str(error)
            else:
                good.append(index)
        columns, relative = self._rows.take()
        origin = np.concatenate([first, places(good, counts)])
        if len(first) and good:
            order = np.argsort(origin, kind="stable")
            origin, relative = origin[order], relative[order]
            columns = {name: column[order] for name, column in columns.items()}
        counted = {"time": relative} if "time" in columns and relative.any() else {}
        return Decoded(columns, len(origin), origin, rejected, counted)

    def _add(self, payload: bytes) -> int:
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        return self._rows.add(list(self._read(payload)))

    def _together(self, payloads: Sequence[bytes]) -> NDArray[np.int64]:
        """Of which payload each row is, for those that are read together."""
        return np.zeros(0, np.int64)

    def absent(self) -> Mapping[str, str]:
        """The wanted measurements that never came, with what they might be called."""
        return self._rows.absent()

    @property
    def texts(self) -> Sequence[Texts]:
        """The texts that are remembered."""
        return self._rows.texts

    def snapshot(self) -> State | None:
        """What was learnt of measurements."""
        return self._rows.snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._rows.restore(saved)


class PlainPacks(Packs):
    """The same for packs in JSON, a row a record: those of the usual fields are read together."""

    def __init__(self, rows: Long, max_payload: int) -> None:
        """Larger payloads are not read."""
        super().__init__(rows, lambda payload: resolve(from_json(payload)), max_payload)
        self._long = rows

    def _together(self, payloads: Sequence[bytes]) -> NDArray[np.int64]:
        """Of which payload each row is, for those that are read together."""
        packs: list[list[Any]] = []
        which: list[int] = []
        for index, payload in enumerate(payloads):
            pack = plain(payload) if len(payload) <= self._max_payload else None
            if pack is not None:
                packs.append(pack)
                which.append(index)
        made = together(packs)
        self._long.add_together(made)
        return np.array(which, np.int64)[made.packs]
