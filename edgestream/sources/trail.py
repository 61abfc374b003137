"""The files of a path or pattern, one after the other: where to begin, and what comes next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgestream.errors import EXIT_CONFIG, Fatal
from edgestream.sources.lines import LineReader, head_hash


class Trail:
    """Where reading is among the files that match; ``reader`` is the open one.

    Files come in the order of their names; one whose name sorts before the open one is not
    looked at again. A followed file that was renamed is read to its end under its new name.
    """

    def __init__(self, pattern: str, *, follow: bool, log: logging.Logger) -> None:
        """Nothing is open yet."""
        self._pattern = pattern
        self._follow = follow
        self._log = log
        self._sizes: dict[Path, int] = {}
        self.name: Path | None = None
        self.reader: LineReader | None = None

    async def open(self, resume: Mapping[str, Any]) -> bool:
        """Open the file of a saved position, else the first; True where the position holds.

        Raises `Fatal` where there is no file, or another one than was read.
        """
        self._sizes = {path: size(path) for path in matching(self._pattern)}
        if resume.get("file") and await self._resume(Path(resume["file"]), resume):
            return True
        if not self.step() and self.name is None and not self._follow:
            said = f"no file matches {self._pattern}; look at the path"
            if not Path(self._pattern).is_absolute():
                said += f", which is that from the working directory {Path.cwd()}"
            raise Fatal(said, EXIT_CONFIG)
        return False

    def step(self) -> bool:
        """Begin with the next file; False where there is none (yet)."""
        following = self.following()
        if following is not None:
            self.begin(following)
        return following is not None

    def begin(self, path: Path) -> None:
        """Read a file from its start."""
        self.close()
        self.reader = LineReader(path, whole=not self._follow)
        self.name = path
        self._sizes[path] = self.reader.size()

    def following(self) -> Path | None:
        """The file to read after the open one, as things are now."""
        name, reader = self.name, self.reader
        if name is None:
            return next(iter(matching(self._pattern)), None)
        if self._follow and (name.exists() if reader is None else reader.replaced(name)):
            return name
        return next((path for path in matching(self._pattern) if path > name), None)

    def progress(self) -> tuple[int, int]:
        """Bytes read and bytes in all, as they lie on the disk."""
        before = sum(size for path, size in self._sizes.items() if self.name and path < self.name)
        return before + (self.reader.done() if self.reader else 0), sum(self._sizes.values())

    def close(self) -> None:
        """Close the open file."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    async def _resume(self, path: Path, resume: Mapping[str, Any]) -> bool:
        """Go to the saved position; False where what was read then is not there any more."""
        exists = path.exists()
        if exists and path not in self._sizes:
            raise Fatal(
                f"the saved position is in {path}, which {self._pattern} does not match; "
                "start with a new state",
                EXIT_CONFIG,
            )
        self.name = path
        if exists and await self._seek(path, resume):
            return True
        if self._follow:
            for beside in renamed(path):
                if await self._seek(beside, resume):
                    return True
            self._log.warning("%s was replaced while nobody read it; its last lines are lost", path)
        elif exists or path == Path(self._pattern):
            what = "was changed before the place it was read to" if exists else "is gone"
            remedy = "put the old file back, or start with a new state"
            raise Fatal(f"{path} {what}; {remedy}", EXIT_CONFIG)
        else:
            self._log.warning("%s is gone; reading goes on with the next file", path)
        return False

    async def _seek(self, path: Path, resume: Mapping[str, Any]) -> bool:
        """Open a file at the saved place; False where it is another file than was read."""
        offset = int(resume["offset"])
        reader = LineReader(path, whole=not self._follow)
        shorter = path.suffix != ".gz" and reader.size() < offset
        if shorter or head_hash(reader.peek(), offset) != resume["head"]:
            reader.close()
            return False
        self.reader = reader
        for _ in reader.seek(offset):
            await asyncio.sleep(0)
        return True


def size(path: Path) -> int:
    """The size of a file, 0 where it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def matching(pattern: str) -> list[Path]:
    """The files of a path or pattern, in the order of their names."""
    path = Path(pattern)
    if path.exists():
        return [path]
    depth = next((i for i, part in enumerate(path.parts) if set(part) & set("*?[")), None)
    if depth is None:
        return []
    found = Path(*path.parts[:depth]).glob(str(Path(*path.parts[depth:])))
    return sorted(each for each in found if each.is_file())


def renamed(path: Path) -> list[Path]:
    """Files beside ``path`` that log rotation may have made of it (``app.log.1``)."""
    beside = path.parent.glob(f"{path.name}*")
    return sorted(each for each in beside if each.suffix != ".gz" and each.is_file())
