"""The files of a worker, read again when they change or when SIGHUP asks for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from edgestream.cli.load import load_spec, pipeline_files
from edgestream.errors import ConfigError, Problem
from edgestream.runtime.reload import reload
from edgestream.runtime.worker import Worker
from edgestream.spec import PipelineSpec

EVERY = 1.0
"""Seconds between two looks. A change is read once it has been the same for two of them: editors
and ConfigMaps write in steps."""
Signature: TypeAlias = tuple[tuple[str, int, int, int], ...]
log = logging.getLogger("edgestream")


class Files:
    """Pipeline files, with what each last said when it could be read."""

    def __init__(self, paths: Sequence[Path], allowed: Sequence[str]) -> None:
        """Of files and folders; `read` has not been called yet."""
        self._paths = paths
        self._allowed = allowed
        self._known: dict[Path, PipelineSpec] = {}

    def signature(self) -> Signature:
        """What changes when a file does; links are followed, as in a mounted ConfigMap."""
        files, _ = pipeline_files(self._paths)
        found = []
        for path in files:
            try:
                facts = path.stat()
            except OSError:
                continue  # gone in this moment; the next look tells
            found.append((str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size))
        return tuple(found)

    def read(self) -> tuple[list[PipelineSpec], list[Problem]]:
        """All pipelines; a file that cannot be read is still what it last was.

        A path of the command line that is gone keeps all that was found there.
        """
        files, problems = pipeline_files(self._paths)
        specs: dict[Path, PipelineSpec] = {}
        for path in files:
            try:
                specs[path] = load_spec(path, self._allowed, tests=False)
            except ConfigError as error:
                problems += error.problems
                if path in self._known:
                    specs[path] = self._known[path]
        gone = [path for path in self._paths if not path.exists()]
        for path, spec in self._known.items():
            if any(path == lost or lost in path.parents for lost in gone):
                specs.setdefault(path, spec)
        return self._once_each(specs, problems), problems

    def _once_each(
        self, specs: dict[Path, PipelineSpec], problems: list[Problem]
    ) -> list[PipelineSpec]:
        """The first of each name, those that had it before coming first."""
        taken: dict[str, Path] = {}
        for path in sorted(specs, key=lambda path: path not in self._known):
            name = specs[path].name
            if taken.setdefault(name, path) != path:
                message = f"the name {name!r} is taken by {taken[name]}"
                hint = "two pipelines need two names"
                problems.append(Problem(message, ("name",), hint, str(path)))
        self._known = {path: specs[path] for path in taken.values()}
        return list(self._known.values())


async def follow(worker: Worker, files: Files, *, watch: bool) -> None:
    """Reload the worker whenever it is asked to, or (``watch``) whenever files change."""
    taken = seen = files.signature()
    while True:
        asked = await worker.reload_asked(EVERY if watch else None)
        now = files.signature()
        settled, seen = now == seen, now
        if asked or (now != taken and settled):
            taken = now
            try:
                await _take(worker, files, asked=asked)
            except Exception:
                log.exception("the files were not taken: a bug")


async def _take(worker: Worker, files: Files, *, asked: bool) -> None:
    specs, problems = files.read()
    for problem in problems:
        log.error("not taken: %s", problem)
    await reload(worker, specs, again=asked)
    if asked and not problems:
        log.warning("read %d pipeline files again", len(specs))
