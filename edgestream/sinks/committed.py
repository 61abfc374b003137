"""The small file beside an output that says how much of it is committed, and with what tokens.

It is replaced in one step, after the output was forced to the disk.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgestream.component import Token
from edgestream.errors import EXIT_CONFIG, EXIT_IO, Fatal
from edgestream.sinks.disk import in_words


@dataclass(slots=True)
class Committed:
    """What is committed of the output at ``output``: its size, and a token for each sink id."""

    output: Path
    size: int = 0
    tokens: dict[str, Token] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file itself."""
        return Path(f"{self.output}.commit")

    def read(self) -> bool:
        """Read the file; False where there is none. Raises `Fatal` where it is damaged."""
        try:
            saved = json.loads(self.path.read_bytes())
            self.size = int(saved["size"])
            self.tokens = {
                name: Token(str(token["store"]), int(token["seq"]), int(token.get("epoch", 0)))
                for name, token in saved["tokens"].items()
            }
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            words = f"{self.path} is damaged; remove it if {self.output} is as it should be"
            raise Fatal(words, EXIT_CONFIG) from error
        return True

    def write(self) -> None:
        """Replace the file, so that either the old or the new one is there after a power cut."""
        tokens = {name: asdict(token) for name, token in self.tokens.items()}
        text = json.dumps({"size": self.size, "tokens": tokens}).encode()
        new = Path(f"{self.path}.new")
        try:
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
        except OSError as error:
            raise in_words(error, str(self.path)) from error


def force(fd: int, path: Path) -> None:
    """Let an open file be on the disk; raises `Fatal`, for a second try could not be trusted."""
    try:
        os.fsync(fd)
    except OSError as error:
        words = f"{path} could not be forced to the disk: {error.strerror}; look at the disk"
        raise Fatal(words, EXIT_IO) from error
