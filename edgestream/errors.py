"""Every error edgestream raises, each named by what happens next.

    EdgestreamError
    ├── ConfigError          the pipeline cannot run as written: every problem    exit 78
    ├── StoreError           the state file cannot be used                        exit 74
    │   ├── StoreLocked      another worker holds it                              exit 75
    │   └── DamagedState     a step cannot go on from what is stored for it       exit 78
    └── ComponentError       raised by sources, codecs and sinks
        ├── Disconnected     the runtime backs off, then closes and opens the component again
        ├── Retry            the runtime backs off, then makes the same call again
        │   └── Held         the same, and no source is opened before it succeeds
        ├── Rejected         the runtime sends the bad rows to dead letters and goes on
        └── Fatal            the runtime stops the pipeline
            └── Fenced       another worker has taken over                        exit 75

A component never waits, retries or counts: it raises one of the last four.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_DATA = 65
EXIT_IO = 74
EXIT_LOCKED = 75
EXIT_PERMISSION = 77
EXIT_CONFIG = 78


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a pipeline: what, where, and what to do about it."""

    message: str
    path: tuple[str | int, ...] = ()
    hint: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """``file:line:column: path: message; hint``, without the parts that are unknown."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        where = ".".join(str(part) for part in self.path)
        text = ": ".join(part for part in (place, where, self.message) if part)
        return f"{text}; {self.hint}" if self.hint else text

    def under(self, *prefix: str | int) -> Problem:
        """The same problem seen from further up the tree."""
        return replace(self, path=(*prefix, *self.path))


class EdgestreamError(Exception):
    """The root of all errors edgestream raises on purpose."""

    exit_code = EXIT_BUG


class ConfigError(EdgestreamError):
    """A pipeline, component or expression that cannot run as written."""

    exit_code = EXIT_CONFIG

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        """Take one message, one problem or all problems found."""
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StoreError(EdgestreamError):
    """The state file cannot be read or written."""

    exit_code = EXIT_IO


class StoreLocked(StoreError):
    """Another worker holds the state file."""

    exit_code = EXIT_LOCKED


class DamagedState(StoreError):
    """What is stored for a step, a codec or a clock is nothing that it can have written."""

    exit_code = EXIT_CONFIG


class ComponentError(EdgestreamError):
    """What a source, codec or sink raises; the subclass names what the runtime does next."""


class Disconnected(ComponentError):
    """The connection is gone: the component is closed and opened again after a pause."""


class Retry(ComponentError):
    """The call failed for now: the same call is made again after a pause."""


class Held(Retry):
    """Another process holds the place, perhaps an older worker of this pipeline.

    Raised by a sink that was reached: the runtime asks again and again, and reads nothing before
    it lets go. What the older one acknowledges meanwhile would be lost.
    """


class Rejected(ComponentError):
    """Some rows can never be accepted: they become dead letters; all others were accepted.

    ``reasons`` maps the row's index in the batch (or of the payload in the block) to why. Who
    cannot tell which rows are at fault says only why, as a text: then nothing of the batch was
    accepted, ``reasons`` is empty, and the runtime finds the rows by halving the batch.
    """

    def __init__(self, reasons: dict[int, str] | str) -> None:
        """Take the refused rows with a reason for each, or why some of them are refused."""
        if isinstance(reasons, str):
            self.reasons: dict[int, str] = {}
            super().__init__(reasons)
            return
        self.reasons = reasons
        first = next(iter(reasons.items()), (0, "no reason"))
        super().__init__(f"{len(reasons)} rows rejected; row {first[0]}: {first[1]}")


class Fatal(ComponentError):
    """The pipeline cannot go on: it stops with ``exit_code``."""

    def __init__(self, message: str, exit_code: int = EXIT_BUG) -> None:
        """Take what happened and what to do about it."""
        super().__init__(message)
        self.exit_code = exit_code


class Fenced(Fatal):
    """Another worker runs the same pipeline and has taken over: this one must write no more."""

    def __init__(self, place: str, step: str) -> None:
        """Take where rows go, and the id of the sink."""
        super().__init__(
            f"{place}: another worker has taken over {step}, perhaps with a copy of the state "
            "folder; this one stops, and what it had not written is left to the other",
            EXIT_LOCKED,
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the nearest known words, else what is known, else nothing."""
    candidates: Sequence[str] = sorted(set(known))
    near = difflib.get_close_matches(word, candidates, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    if candidates and len(candidates) <= 12:
        return "known: " + ", ".join(candidates)
    return ""


def printable(text: str) -> str:
    r"""Text without signs that could command a terminal or begin a line: they become ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)
