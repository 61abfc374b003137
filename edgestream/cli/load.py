"""Pipeline files named on the command line: read, checked, every problem of all files at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgestream.codecs.json import Json
from edgestream.config.yaml import MAX_BYTES, Document, load_roughly
from edgestream.delivery import agreed
from edgestream.errors import ConfigError, Problem
from edgestream.graph import Graph, build
from edgestream.read import read_document
from edgestream.registry import installed
from edgestream.spec import PipelineSpec

SUFFIXES = (".yaml", ".yml")


def load_specs(
    paths: Iterable[Path], allowed: Sequence[str], *, tests: bool = True
) -> list[PipelineSpec]:
    """The pipelines behind files and folders; raises `ConfigError` with every problem."""
    specs, problems = load_all(paths, allowed, tests=tests)
    if problems:
        raise ConfigError(problems)
    return specs


def load_all(
    paths: Iterable[Path], allowed: Sequence[str], *, tests: bool = True
) -> tuple[list[PipelineSpec], list[Problem]]:
    """The pipelines that can be read of files and folders, and every problem of the others."""
    files, problems = pipeline_files(paths)
    specs: dict[str, PipelineSpec] = {}
    taken: dict[str, Path] = {}
    for path in files:
        try:
            spec = load_spec(path, allowed, tests=tests)
        except ConfigError as error:
            problems += error.problems
            continue
        if spec.name in taken:
            message = f"the name {spec.name!r} is taken by {taken[spec.name]}"
            problems.append(Problem(message, ("name",), "two pipelines need two names", str(path)))
        taken.setdefault(spec.name, path)
        specs.setdefault(spec.name, spec)
    return list(specs.values()), problems


def pipeline_files(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """The files behind files and folders, each once, and where there are none."""
    found: dict[Path, Path] = {}
    problems: list[Problem] = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(entry for entry in path.iterdir() if entry.suffix in SUFFIXES)
            if not inside:
                problems.append(Problem("no .yaml file in this folder", file=str(path)))
        elif not path.exists():
            problems.append(Problem("there is no such file or folder", file=str(path)))
            continue
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values()), problems


def load_spec(path: Path, allowed: Sequence[str], *, tests: bool = True) -> PipelineSpec:
    """One pipeline, with its graph built once so that unknown columns are found.

    ``tests`` says whether its ``tests:`` are looked at too; a worker does without.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from error
    document = load_roughly(text, str(path))
    spec = read_document(document, installed())
    _check_graph(document, spec, allowed, tests)
    return spec


def _check_graph(
    document: Document, spec: PipelineSpec, allowed: Sequence[str], tests: bool
) -> None:
    def graph() -> None:
        built = build(spec, Json(), allowed)
        if tests:
            _check_tests(built)

    problems: list[Problem] = []
    for check in (graph, lambda: agreed(spec)):
        try:
            check()
        except ConfigError as error:
            problems += [document.place(problem) for problem in error.problems]
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def _check_tests(graph: Graph) -> None:
    if graph.spec.tests:
        from edgestream.testing.scenarios import check_scenarios  # noqa: PLC0415 - few have some

        check_scenarios(graph)


def allowed_modules(given: Sequence[str]) -> tuple[str, ...]:
    """Packages whose functions may be used: from the command line and the environment."""
    listed = os.environ.get("EDGESTREAM_ALLOW_MODULES", "").split(",")
    return (*given, *(name.strip() for name in listed if name.strip()))
