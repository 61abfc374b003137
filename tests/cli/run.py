"""Running the command line inside the test's own process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from edgestream.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Cli:
    def __init__(self, capsys: Any) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Ran(int(stopped.value.code or 0), out, err)
