"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def modules_option(text: str = "A package whose functions 'use:' may name.") -> Decorator:
    """``--allow-module``, as ``modules``."""
    return click.option("--allow-module", "modules", multiple=True, metavar="PACKAGE", help=text)


def state_option(text: str = "Where state files live.  [default: as for the worker]") -> Decorator:
    """``--state-dir``, or its environment variable."""
    folder = click.Path(path_type=Path)
    return click.option("--state-dir", type=folder, envvar="EDGESTREAM_STATE_DIR", help=text)
