"""The small file beside an output that says how much of it is committed, and with what tokens.

It is replaced in one step, after the output was forced to the disk.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

from edgestream.component import Token
from edgestream.errors import EXIT_CONFIG, EXIT_IO, Fatal
from edgestream.sinks.disk import worded

_TAIL = 4096
"""Bytes before the committed end by which the output is known again."""


@dataclass(slots=True)
class Committed:
    """What is committed of the output at ``output``: its size, and a token for each sink id.

    ``checksum`` is that of both and of the output's last bytes before that size; None where an
    older edgestream wrote none.
    """

    output: Path
    size: int = 0
    checksum: int | None = None
    tokens: Mapping[str, Token] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file itself."""
        return Path(f"{self.output}.commit")

    def read(self) -> bool:
        """Read the file; False where there is none. Raises `Fatal` where it is damaged."""
        try:
            saved = json.loads(self.path.read_bytes())
            size, checksum = int(saved["size"]), saved.get("checksum")
            self.tokens = {
                name: Token(str(token["store"]), int(token["seq"]), int(token.get("epoch", 0)))
                for name, token in saved["tokens"].items()
            }
            self.size, self.checksum = size, None if checksum is None else int(checksum)
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            words = f"{self.path} is damaged; remove it if {self.output} is as it should be"
            raise Fatal(words, EXIT_CONFIG) from error
        return True

    def is_of(self, fd: int) -> bool:
        """Whether the open file holds what was committed, as far as its last bytes tell."""
        return self.checksum in (None, _checksum(fd, self.size, self.tokens))

    def write(self, fd: int, size: int, tokens: Mapping[str, Token]) -> None:
        """Let so much of the open file be committed.

        The file is replaced, so that either the old or the new one is there after a power cut.
        """
        with worded(self.path):
            checksum = _checksum(fd, size, tokens)
            told = {name: asdict(token) for name, token in tokens.items()}
            self._replace(json.dumps({"size": size, "checksum": checksum, "tokens": told}).encode())
        self.size, self.checksum, self.tokens = size, checksum, tokens

    def _replace(self, text: bytes) -> None:
        new = Path(f"{self.path}.new")
        with new.open("wb") as file:
            file.write(text)
            file.flush()
            force(file.fileno(), new)
        new.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            force(folder, self.path.parent)
        finally:
            os.close(folder)


def _checksum(fd: int, size: int, tokens: Mapping[str, Token]) -> int:
    told = repr((size, sorted((name, astuple(token)) for name, token in tokens.items())))
    first = max(0, size - _TAIL)
    return zlib.crc32(os.pread(fd, size - first, first), zlib.crc32(told.encode()))


def force(fd: int, path: Path) -> None:
    """Let an open file be on the disk; raises `Fatal`, for a second try could not be trusted."""
    try:
        os.fsync(fd)
    except OSError as error:
        words = f"{path} could not be forced to the disk: {error.strerror}; look at the disk"
        raise Fatal(words, EXIT_IO) from error
