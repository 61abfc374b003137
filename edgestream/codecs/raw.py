"""Payloads that are one value each: bare text, a bare number, or bytes."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from edgestream.batch import Batch, Column, Strings, to_python
from edgestream.codecs.columns import Texts, show
from edgestream.codecs.literals import floats, number
from edgestream.component import Codec, Decoded, component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.errors import ConfigError, Problem, Rejected, did_you_mean
from edgestream.schema import Schema


@component(
    "raw",
    shorthand="format",
    examples=("decode: {raw: number}", "decode: {raw: {format: hex, column: frame}}"),
)
class Raw(Codec):
    """The whole payload as one column.

    ``format`` says what becomes of it: ``text`` (UTF-8), ``number`` (a bare number such as
    ``21.5``, as many devices publish one a topic), ``hex`` or ``base64`` (bytes of any kind,
    written as text). A payload that is not UTF-8, or not a number, is rejected.

    To write, each row is made from that one column: hex and base64 are turned back into bytes,
    a missing value into an empty payload.
    """

    format: Literal["text", "number", "hex", "base64"] = option(
        default="text", help="What a payload becomes: text, number, hex or base64."
    )
    column: str = option(default="payload", help="The name of the column.")
    max_payload: Size = option(default="256KiB", help="A larger payload is rejected.", minimum=1)
    _texts: Texts = state(Texts)

    def check(self) -> None:
        """The column needs a name."""
        if not self.column:
            raise ConfigError(Problem("the column needs a name", ("column",)))

    def schema(self) -> Schema:
        """One column."""
        return Schema.of_kinds({self.column: "float" if self.format == "number" else "string"})

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """One column; a payload that is not of the format is rejected."""
        self._texts.renew()
        column = self._fast(payloads)
        if column is not None:
            return Decoded({self.column: column}, len(payloads))
        good: list[int] = []
        values: list[Any] = []
        rejected: dict[int, str] = {}
        for index, payload in enumerate(payloads):
            try:
                values.append(self._one(payload))
            except ValueError as error:
                rejected[index] = str(error)
            else:
                good.append(index)
        return Decoded({self.column: self._column(values)}, len(good), np.array(good), rejected)

    def state_bytes(self) -> int:
        """The bytes of the texts of the column, reckoned."""
        return self._texts.nbytes

    def shrink(self) -> None:
        """Forget the texts of the column."""
        self._texts.forget()

    def _fast(self, payloads: Sequence[bytes]) -> Column | None:
        """The column, or None if any payload needs a look of its own."""
        if sum(map(len, payloads)) > nbytes(self.max_payload):
            return None
        if self.format != "number":
            return None
        whole = b"\n".join(payloads)
        if not whole.isascii() or whole.count(b"\n") != len(payloads) - 1 or not all(payloads):
            return None
        return floats(whole.decode("ascii").split("\n"))

    def _one(self, payload: bytes) -> Any:
        if len(payload) > nbytes(self.max_payload):
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        if self.format == "hex":
            return payload.hex()
        if self.format == "base64":
            return base64.b64encode(payload).decode("ascii")
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            where = f"byte 0x{payload[error.start]:02x} (byte {error.start})"
            raise ValueError(f"not UTF-8: {where}") from None
        return text if self.format == "text" else _finite(text)

    def _column(self, values: Sequence[Any]) -> Column:
        if self.format == "number":
            return np.array(values, np.float64)
        return Strings(self._texts.encode(values), self._texts.dictionary)

    def encode(self, batch: Batch) -> list[bytes]:
        """The column's values as payloads; a value that cannot be turned back is rejected."""
        if self.column not in batch:
            hint = did_you_mean(self.column, batch.columns)
            raise ConfigError(Problem(f"there is no column {self.column!r} to write", hint=hint))
        write = _WRITERS[self.format]
        made: list[bytes] = []
        rejected: dict[int, str] = {}
        for row, value in enumerate(to_python(batch[self.column])):
            try:
                made.append(b"" if value is None else write(value))
            except (ValueError, TypeError):
                rejected[row] = f"{self.column}: {value!r} is not {self.format}"
        if rejected:
            raise Rejected(rejected)
        return made


def _finite(text: str) -> float:
    value = number(text)
    with contextlib.suppress(OverflowError):
        if value is not None and math.isfinite(value):
            return float(value)
    if not text:
        raise ValueError("the payload is empty")
    raise ValueError(f"expected a number, got {show(text)}")


def _text(value: Any) -> bytes:
    return str(value).encode()


def _number(value: Any) -> bytes:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return repr(int(value) if isinstance(value, bool) else value).encode()


_WRITERS: Mapping[str, Callable[[Any], bytes]] = {
    "text": _text,
    "number": _number,
    "hex": bytes.fromhex,
    "base64": lambda value: base64.b64decode(value, validate=True),
}
