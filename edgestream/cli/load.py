"""Pipeline files named on the command line: read, checked, every problem of all files at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgestream.codecs.json import Json
from edgestream.config.yaml import Document
from edgestream.config.yaml import load as load_yaml
from edgestream.delivery import agreed
from edgestream.errors import ConfigError, Problem
from edgestream.graph import build
from edgestream.read import read_document
from edgestream.registry import installed
from edgestream.spec import PipelineSpec

SUFFIXES = (".yaml", ".yml")


def pipeline_files(paths: Iterable[Path]) -> list[Path]:
    """The files behind files and folders; raises `ConfigError` where there are none."""
    found: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(entry for entry in path.iterdir() if entry.suffix in SUFFIXES)
            found += inside
            if not inside:
                problems.append(Problem("no .yaml file in this folder", file=str(path)))
        elif path.exists():
            found.append(path)
        else:
            problems.append(Problem("there is no such file or folder", file=str(path)))
    if problems:
        raise ConfigError(problems)
    return found


def load_specs(paths: Iterable[Path], allowed: Sequence[str]) -> list[PipelineSpec]:
    """The pipelines behind files and folders; raises `ConfigError` with every problem."""
    specs: list[PipelineSpec] = []
    problems: list[Problem] = []
    names: dict[str, Path] = {}
    for path in pipeline_files(paths):
        try:
            spec = load_spec(path, allowed)
        except ConfigError as error:
            problems += error.problems
            continue
        if spec.name in names:
            message = f"the name {spec.name!r} is taken by {names[spec.name]}"
            problems.append(Problem(message, ("name",), file=str(path)))
        names[spec.name] = path
        specs.append(spec)
    if problems:
        raise ConfigError(problems)
    return specs


def load_spec(path: Path, allowed: Sequence[str]) -> PipelineSpec:
    """One pipeline, with its graph built once so that unknown columns are found."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from error
    document = load_yaml(text, str(path))
    spec = read_document(document, installed())
    _check_graph(document, spec, allowed)
    return spec


def _check_graph(document: Document, spec: PipelineSpec, allowed: Sequence[str]) -> None:
    problems: list[Problem] = []
    for check in (lambda: build(spec, Json(), allowed), lambda: agreed(spec)):
        try:
            check()
        except ConfigError as error:
            problems += [document.place(problem) for problem in error.problems]
    if problems:
        raise ConfigError(problems)


def allowed_modules(given: Sequence[str]) -> tuple[str, ...]:
    """Packages whose functions may be used: from the command line and the environment."""
    listed = os.environ.get("EDGESTREAM_ALLOW_MODULES", "").split(",")
    return (*given, *(name.strip() for name in listed if name.strip()))
