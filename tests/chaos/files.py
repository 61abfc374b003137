"""Power cuts, refusals and damage under a ``file`` sink, seen and done between it and the machine.

    python -m tests.chaos.files --histories 20000 --mutants

A workload of the real sink (writes, flushes, stops without a flush, the file moved away) is written
down call by call. A *history* cuts the power after some call: of what was written to a file since
its last sync, each sector survives or not, by chance and in any order; of what was done to names
since the last sync of the folder, the first so many survive, as a file system's journal keeps their
order. The files are then opened by the real sink: its token must not be before the last that was
flushed, and the rows up to the token must be there, each once, and no others.

The same workload is run with the n-th call failing (an I/O error, a full disk), n = 1, 2, 3 …, and
what it left is opened after bits were flipped and ends were cut.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import io
import json
import logging
import os
import random
import shutil
import stat
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgestream import FileSink, Token
from edgestream.errors import ComponentError, Disconnected, Fatal, Retry
from edgestream.sinks import committed, output
from edgestream.testing.connectors import batch, context
from tests.chaos.disk import Operation
from tests.chaos.posts import lines
from tests.chaos.power import SECTORS, SURVIVAL, Image

FORMATS = ("ndjson", "csv", "ndjson.gz", "csv.gz")
PER_WORKLOAD = 500
SPILL = 300
"""Bytes a sink keeps in memory here; a mebibyte in the product."""
MOVING = "moving"
"""A mark: the file has another name and the sink has not seen it yet."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name that was given (``to`` is the file's number), or changed to another."""

    name: str
    to: int | str


Function = Callable[..., Any]
Step = Operation | Named | None
"""What was done to a file, to a name, or (None) the folder was synced."""


@dataclass
class Folder:
    """What a sink does to the files of one folder, while `around` holds."""

    path: Path
    log: list[Step] = field(default_factory=list)
    calls: int = 0
    fails: Callable[[int], int] = lambda _: 0
    """The error number with which the n-th call fails; 0 lets it pass."""
    _numbers: dict[int, int] = field(default_factory=dict)
    _seen: dict[str, bytes] = field(default_factory=dict)
    _made: int = 0

    def mark(self, what: Any) -> None:
        """Note in the log where the program above is."""
        self.log.append(Operation("mark", "", mark=what))

    @contextlib.contextmanager
    def around(self) -> Iterator[Folder]:
        """Stand between the sink and the machine."""
        kept = {name: getattr(os, name) for name in ("open", "pwrite", "ftruncate", "fsync")}
        kept_open, kept_replace = io.open, os.replace
        for name, function in kept.items():
            setattr(os, name, getattr(self, f"_{name}")(function))
        setattr(io, "open", self._io_open(kept_open))  # noqa: B010 - mypy knows it as a function
        os.replace = self._replace(kept_replace)
        try:
            yield self
        finally:
            for name, function in kept.items():
                setattr(os, name, function)
            setattr(io, "open", kept_open)  # noqa: B010
            os.replace = kept_replace

    def moved(self, name: str, to: str) -> None:
        """Somebody gave a file another name."""
        (self.path / name).rename(self.path / to)
        self.log.append(Named(name, to))

    def _mine(self, path: Any) -> bool:
        return isinstance(path, str | Path) and Path(path).parent == self.path

    def _asked(self) -> None:
        self.calls += 1
        number = self.fails(self.calls)
        if number:
            raise OSError(number, os.strerror(number))

    def _file(self, fd: int) -> str:
        return str(self._numbers[os.fstat(fd).st_ino])

    def _new(self, path: Path, fd: int) -> None:
        self._made += 1
        self._numbers[os.fstat(fd).st_ino] = self._made
        self.log.append(Named(path.name, self._made))

    def _open(self, real: Any) -> Any:
        def opened(path: Any, flags: int, *more: Any) -> int:
            if not self._mine(path):
                return int(real(path, flags, *more))
            self._asked()
            there = Path(path).exists()
            fd = int(real(path, flags, *more))
            if not there:
                self._new(Path(path), fd)
            return fd

        return opened

    def _io_open(self, real: Any) -> Any:
        def opened(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            if not self._mine(path):
                return real(path, mode, *more, **named)
            self._asked()
            there = Path(path).exists()
            file = real(path, mode, *more, **named)
            if "w" in mode and not there:
                self._new(Path(path), file.fileno())
            return file

        return opened

    def _pwrite(self, real: Any) -> Any:
        def written(fd: int, data: Any, at: int) -> int:
            self._asked()
            size = int(real(fd, data, at))
            self.log.append(Operation("write", self._file(fd), at, bytes(data[:size])))
            return size

        return written

    def _ftruncate(self, real: Any) -> Any:
        def cut(fd: int, size: int) -> None:
            self._asked()
            real(fd, size)
            self.log.append(Operation("truncate", self._file(fd), size))

        return cut

    def _fsync(self, real: Any) -> Any:
        def synced(fd: int) -> None:
            self._asked()
            real(fd)
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                self.log.append(None)
                return
            name = self._file(fd)
            self._whole(name, Path(f"/proc/self/fd/{fd}"))
            self.log.append(Operation("sync", name))

        return synced

    def _replace(self, real: Any) -> Any:
        def replaced(source: Any, target: Any) -> None:
            self._asked()
            self._whole(str(self._numbers[Path(source).stat().st_ino]), Path(source))
            real(source, target)
            self.log.append(Named(Path(source).name, Path(target).name))

        return replaced

    def _whole(self, name: str, path: Path) -> None:
        """What a file that was written through Python's own buffers holds now."""
        if (path.readlink() if path.is_symlink() else path).suffix in (".new", ".commit"):
            data = path.read_bytes()
            if self._seen.get(name) != data:
                self.log += [Operation("truncate", name, 0), Operation("write", name, 0, data)]
                self._seen[name] = data


class Workload:
    """A sink and its rows 1, 2, 3 …; what is flushed up to which row is marked in the log."""

    def __init__(self, folder: Folder, format: str, seed: int) -> None:
        self._folder = folder
        self._name = f"out.{format}"
        self._format = format
        self._rng = random.Random(seed)
        self.flushed = self.written = self._moves = 0

    async def run(self, steps: int) -> None:
        """Write, flush, stop without a flush, and now and then lose the file to somebody."""
        sink = await opened(self._folder.path / self._name)
        try:
            for _ in range(steps):
                sink = await self._step(sink)
        finally:
            await sink.close()

    async def _step(self, sink: FileSink) -> FileSink:
        chance = self._rng.random()
        if chance < 0.55:
            count = self._rng.choice((1, 3, 20))
            await again(sink.write, batch([*range(self.written + 1, self.written + count + 1)]))
            self.written += count
        elif chance < 0.85:
            await again(sink.flush, Token("s", self.written))
            self.flushed = self.written
            self._folder.mark(self.flushed)
        elif chance < 0.95 or not self.flushed:
            await sink.close()
            sink = await opened(self._folder.path / self._name)
            self.written = self.flushed
        else:
            self._moves += 1
            self._folder.mark(MOVING)
            self._folder.moved(self._name, f"old-{self._moves}.{self._format}")
            with contextlib.suppress(Disconnected):
                await again(sink.flush, Token("s", self.written))
            self._folder.mark(self.flushed)
            await sink.close()
            sink = await opened(self._folder.path / self._name)
            self.written = self.flushed
        return sink


async def opened(path: Path) -> FileSink:
    """The sink, open; as the runtime does, again for as long as there is no room."""
    sink = FileSink(path=str(path))
    try:
        await again(sink.open, context())
    except Fatal:
        await sink.close()
        raise
    return sink


async def again(call: Callable[[Any], Any], given: Any) -> Any:
    """The same call again where the disk was full."""
    while True:
        try:
            return await call(given)
        except Retry:
            pass


@contextlib.contextmanager
def small_spills() -> Iterator[None]:
    """Let a sink write before it is flushed."""
    kept, output.SPILL = output.SPILL, SPILL
    try:
        yield
    finally:
        output.SPILL = kept


@contextlib.contextmanager
def somewhere() -> Iterator[Path]:
    """A folder in memory, where there is such a thing."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="edgestream-files-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def record(seed: int, steps: int = 60) -> tuple[str, list[Step]]:
    """A workload and its format, as the machine saw it."""
    format = FORMATS[seed % len(FORMATS)]
    with somewhere() as path, small_spills():
        folder = Folder(path)
        with folder.around():
            asyncio.run(Workload(folder, format, seed).run(steps))
        return format, folder.log


class Machine:
    """What is surely on the disk, and what was done since."""

    def __init__(self) -> None:
        self.files: dict[str, Image] = {}
        self._names: dict[str, int] = {}
        self._since: list[Named] = []

    def follow(self, step: Step) -> None:
        """The next call."""
        if step is None:
            for named in self._since:
                _name(self._names, named)
            self._since = []
        elif isinstance(step, Named):
            self._since.append(step)
            if isinstance(step.to, int):
                self.files[str(step.to)] = Image(b"")
        else:
            self.files[step.name].follow(step)

    def left(self) -> dict[str, bytes]:
        """The files by name as a crash of the process leaves them."""
        self.follow(None)
        whole = {n: image.after(random.Random(0), 1.0, 512) for n, image in self.files.items()}
        return {name: whole[str(number)] or b"" for name, number in self._names.items()}

    def after(self, rng: random.Random) -> dict[str, bytes]:
        """The files by name after a power cut."""
        survival, sector = rng.choice(SURVIVAL), rng.choice(SECTORS)
        names = dict(self._names)
        for named in self._since[: rng.randint(0, len(self._since))]:
            _name(names, named)
        left = {number: image.after(rng, survival, sector) for number, image in self.files.items()}
        return {name: left[str(number)] or b"" for name, number in names.items()}


def _name(names: dict[str, int], named: Named) -> None:
    if isinstance(named.to, int):
        names[named.name] = named.to
    else:
        names[named.to] = names.pop(named.name)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Only these files are in the folder."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def examine(folder: Path, format: str, flushed: int, *, moving: bool = False) -> set[str]:
    """Open what is there with the real sink, and say what is wrong."""
    try:
        token = asyncio.run(_token(folder / f"out.{format}"))
    except ComponentError as error:
        return {f"it cannot be opened: {type(error).__name__}"}
    wrong = {"a flush is lost"} if token < flushed else set()
    if not moving:
        try:
            found = [row for path in folder.glob(f"*.{format}") for row in lines(path)]
            numbers = sorted(int(row["n"]) for row in found)
        except (AssertionError, OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
            return wrong | {"a line is torn"}
        if numbers != [*range(1, token + 1)]:
            wrong |= {"the rows and the token differ"}
    return wrong


async def _token(path: Path) -> int:
    sink = FileSink(path=str(path))
    try:
        token = await sink.open(context())
    finally:
        await sink.close()
    return 0 if token is None else token.seq


def histories(format: str, log: Sequence[Step], count: int, seed: int) -> Counter[str]:
    """Cut the power ``count`` times; what was found wrong, with how often, and ``histories``."""
    rng = random.Random(seed)
    cuts = Counter(rng.randrange(len(log) + 1) for _ in range(count))
    machine, flushed, moving = Machine(), 0, False
    found: Counter[str] = Counter()
    with somewhere() as folder:
        for number in range(len(log) + 1):
            for _ in range(cuts[number]):
                found["histories"] += 1
                put(folder, machine.after(rng))
                found.update(dict.fromkeys(examine(folder, format, flushed, moving=moving), 1))
            if number == len(log):
                break
            step = log[number]
            if isinstance(step, Operation) and step.kind == "mark":
                moving = step.mark == MOVING
                flushed = flushed if moving else step.mark
            else:
                machine.follow(step)
    return found


def refuse(number: int, code: int, *, seed: int = 3, steps: int = 40) -> set[str] | None:
    """The ``number``-th call fails; what is wrong afterwards, or None where it was not reached."""
    format = FORMATS[number % len(FORMATS)]
    with somewhere() as path, small_spills():
        folder = Folder(path, fails=lambda call: code if call == number else 0)
        workload = Workload(folder, format, seed)
        told = ""
        with folder.around():
            try:
                asyncio.run(workload.run(steps))
            except Fatal as error:
                told = str(error)
        if folder.calls < number:
            return None
        wrong = examine(path, format, workload.flushed)
        if code == errno.EIO and not told:
            wrong |= {"nothing was told"}
        return {f"{each} (told: {told or 'nothing'})" for each in wrong}


def damages(count: int, seed: int = 1) -> Counter[str]:
    """Spoil one of the files that a crash left ``count`` times; what came of it."""
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(count):
        format, log = _recorded(seed + number % 8)
        machine = Machine()
        for step in log:
            if not (isinstance(step, Operation) and step.kind == "mark"):
                machine.follow(step)
        marks = [step.mark for step in log if isinstance(step, Operation) and step.kind == "mark"]
        files = machine.left()
        name = rng.choice([name for name in files if name.startswith("out.") and files[name]])
        kind, spoilt = _spoilt(files[name], rng)
        with somewhere() as folder:
            put(folder, {**files, name: spoilt})
            wrong = examine(folder, format, marks[-1])
        refused = any(each.startswith("it cannot be opened") for each in wrong)
        came = "refused" if refused else "SILENT: " + ", ".join(sorted(wrong)) if wrong else "right"
        found[f"{'commit' if name.endswith('.commit') else format}, {kind}: {came}"] += 1
    return found


_kept: dict[int, tuple[str, list[Step]]] = {}


def _recorded(seed: int) -> tuple[str, list[Step]]:
    if seed not in _kept:
        _kept[seed] = record(seed)
    return _kept[seed]


def _spoilt(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    at = rng.randrange(len(data))
    if rng.random() < 0.7:
        return "flip", data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    return "shorter", data[:at]


def _nothing(*_: Any) -> None:
    pass


def _not_forced(_: Function) -> Function:
    return _nothing


def _files_only(force: Function) -> Function:
    def mutant(fd: int, path: Path) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            force(fd, path)

    return mutant


def _in_place(_: Function) -> Function:
    def mutant(self: committed.Committed, text: bytes) -> None:
        with self.path.open("wb") as file:
            file.write(text)
            file.flush()
            committed.force(file.fileno(), self.path)

    return mutant


def _without_force(call: Function) -> Function:
    def mutant(*given: Any) -> None:
        kept, output.force = output.force, _nothing
        try:
            call(*given)
        finally:
            output.force = kept

    return mutant


def _forced_last(flush: Function) -> Function:
    def mutant(self: output.Output, token: Token | None) -> None:
        _without_force(flush)(self, token)
        output.force(self._fd, self._path)

    return mutant


MUTANTS: dict[str, tuple[Any, str, Callable[[Function], Function]]] = {
    "file-not-synced": (output, "force", _not_forced),
    "commit-not-synced": (committed, "force", _not_forced),
    "folder-not-synced": (committed, "force", _files_only),
    "commit-in-place": (committed.Committed, "_replace", _in_place),
    "commit-before-sync": (output.Output, "flush", _forced_last),
    "moved-not-forced": (output.Output, "_look", _without_force),
}


@contextlib.contextmanager
def mistaken(name: str) -> Iterator[None]:
    """Make a mistake, and take it back."""
    owner, attribute, make = MUTANTS[name]
    kept = getattr(owner, attribute)
    setattr(owner, attribute, make(kept))
    try:
        yield
    finally:
        setattr(owner, attribute, kept)


def caught(name: str, most: int = 40) -> Counter[str]:
    """What is found of a mistake, in the first of ``most`` workloads that shows it."""
    with mistaken(name):
        for seed in range(1, most + 1):
            found = histories(*record(seed), 100, seed)
            del found["histories"]
            if found:
                return found
    return Counter()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all histories."""

    histories: int
    violations: Mapping[str, int]
    seconds: float


def run(count: int, each: int = PER_WORKLOAD) -> Report:
    """``count`` histories, ``each`` of a workload."""
    began = time.monotonic()
    found: Counter[str] = Counter()
    for seed in range(1, count // each + 1):
        found += histories(*record(seed), each, seed)
    made = found.pop("histories", 0)
    return Report(made, dict(found), round(time.monotonic() - began, 1))


def refusals(most: int) -> Iterator[tuple[int, int, set[str]]]:
    """Every call in turn, up to ``most`` or the last, with an I/O error and with a full disk."""
    for code in (errno.EIO, errno.ENOSPC):
        for number in range(1, most + 1):
            wrong = refuse(number, code)
            if wrong is None:
                break
            yield number, code, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--damages", type=int, default=2_000)
    parser.add_argument("--mutants", action="store_true", help="every mistake must be seen")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    report = run(given.histories)
    print(json.dumps(asdict(report), indent=2), flush=True)
    tried = list(refusals(given.calls))
    refused = [each for each in tried if each[2]]
    print(json.dumps({"calls": len(tried), "wrong": [str(each) for each in refused]}), flush=True)
    print(json.dumps(dict(sorted(damages(given.damages).items())), indent=2), flush=True)
    missed = 0
    for name in MUTANTS if given.mutants else ():
        found = caught(name)
        missed += not found
        print(f"{'caught' if found else 'MISSED'}  {name}: {dict(found)}", flush=True)
    raise SystemExit(bool(report.violations) or bool(refused) or missed > 0)


if __name__ == "__main__":
    main()
