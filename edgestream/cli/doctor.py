"""``edgestream doctor``: whether this machine is fit to run pipelines, and what to do if not."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from urllib.parse import urlsplit

import click

from edgestream._version import __version__
from edgestream.cli import machine
from edgestream.cli.machine import Finding, Mark
from edgestream.component import Component
from edgestream.errors import EXIT_BUG, EXIT_OK, ConfigError
from edgestream.registry import KINDS, Registry, installed
from edgestream.store.store import state_dir

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 24, 0)
"""Upserts came with it."""
SECONDS = 5.0
"""How long a server may take to answer."""
PORTS = {"mqtt": 1883, "mqtts": 8883, "redis": 6379, "rediss": 6379, "postgresql": 5432}
_COLORS: dict[Mark, str] = {"ok": "green", "warn": "yellow", "fail": "red"}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:>=\s*([0-9.]+))?")


@click.command("doctor")
@click.option(
    "--broker",
    "brokers",
    multiple=True,
    metavar="URL",
    help="A server to reach over TCP, such as mqtt://localhost:1883 (may be given again).",
)
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def command(brokers: tuple[str, ...], output: str) -> int:
    """Look at this machine: packages, state folder, disk, clock, limits, ports and servers.

    Each line is ok, warn or fail, with what to do. The exit code is 1 if anything fails, else 0:
    a warning does not stop a pipeline.

    Example:  edgestream doctor --broker mqtt://localhost:1883
    """
    findings = list(examine(brokers))
    if output == "json":
        click.echo(json.dumps([dataclasses.asdict(found) for found in findings], indent=2))
    else:
        show(findings)
    return EXIT_BUG if any(found.mark == "fail" for found in findings) else EXIT_OK


def examine(brokers: Iterable[str]) -> Iterator[Finding]:
    """Everything, in the order in which it matters."""
    yield from versions()
    yield from extras(installed())
    yield from machine.state_folder(state_dir())
    yield from sqlite()
    yield from machine.clock()
    yield from machine.limits()
    yield from machine.serial_devices()
    for url in brokers:
        yield reach(url)


def show(findings: list[Finding]) -> None:
    """One line each, and the advice under it."""
    width = max(len(found.what) for found in findings)
    for found in findings:
        mark = click.style(f"{found.mark:<4}", fg=_COLORS[found.mark])
        click.echo(f"{mark}  {found.what:<{width}}  {found.found}")
        if found.advice:
            click.echo(f"{'':<{width + 8}}{found.advice}")


def versions() -> Iterator[Finding]:
    """Python, edgestream and what it always needs."""
    python = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("fail", "python", python, "install Python 3.11 or later")
    else:
        yield Finding("ok", "python", f"{python} on {platform.machine()}")
    yield Finding("ok", "edgestream", __version__)
    for requirement in _requires("edgestream", ""):
        yield _package(requirement, "")


def extras(registry: Registry) -> Iterator[Finding]:
    """The packages that installed components need beside those."""
    seen: set[tuple[str, str]] = set()
    for kind in KINDS:
        for name in registry.names(kind):
            try:
                cls: type[Component] = registry.load(kind, name)
            except ConfigError as error:
                yield Finding("fail", f"{kind} {name}", str(error), "install it again")
                continue
            owner = registry.entries[kind][name].distribution
            if not cls.about.extra or (owner, cls.about.extra) in seen:
                continue
            seen.add((owner, cls.about.extra))
            for requirement in _requires(owner, cls.about.extra):
                yield _package(requirement, f'pip install "{owner}[{cls.about.extra}]"')


def _requires(distribution: str, extra: str) -> list[str]:
    """The requirements of a distribution that hold always, or only for an extra."""
    listed = metadata.requires(distribution) or []
    found = []
    for line in listed:
        requirement, _, marker = line.partition(";")
        named = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if (named[1] if named else "") == extra:
            found.append(requirement.strip())
    return found


def _package(requirement: str, advice: str) -> Finding:
    """Whether a package is there, and as new as it must be."""
    match = _REQUIREMENT.match(requirement)
    assert match is not None, requirement
    name, oldest = match[1], match[2] or "0"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        mark: Mark = "warn" if advice else "fail"
        return Finding(mark, name, "is not installed", advice or f'pip install "{requirement}"')
    if _numbers(version) < _numbers(oldest):
        text = f"{version} is older than {oldest}"
        return Finding("fail", name, text, f'pip install "{requirement}"')
    return Finding("ok", name, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def sqlite() -> Iterator[Finding]:
    """The SQLite that Python was built with: state files and the sqlite sink need it."""
    try:
        import sqlite3  # noqa: PLC0415 - Python can be built without
    except ImportError:
        advice = "install the package of your Python that brings sqlite3"
        yield Finding("fail", "sqlite", "this Python has no sqlite3", advice)
        return
    with sqlite3.connect(":memory:") as database:
        options = {row[0] for row in database.execute("PRAGMA compile_options")}
    database.close()
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Finding("fail", "sqlite", version, "3.24 or later is needed for upserts")
    elif "OMIT_WAL" in options:
        yield Finding("fail", "sqlite", f"{version} without WAL", "use another build of Python")
    else:
        notes = [" with SECURE_DELETE, switched off for state files"] * ("SECURE_DELETE" in options)
        yield Finding("ok", "sqlite", version + "".join(notes))


def reach(url: str) -> Finding:
    """Whether a server accepts a TCP connection; nothing is sent, and no password shown."""
    parts = urlsplit(url)
    what = f"{parts.scheme or 'broker'}"
    try:
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:
        host = port = None
    if not host or port is None or parts.scheme not in PORTS:
        known = ", ".join(f"{scheme}://" for scheme in PORTS)
        raise click.BadParameter(f"expected a URL with {known}", param_hint="--broker")
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError as error:
        text = f"{host}:{port} cannot be reached: {error.strerror or error}"
        advice = "is it running, is the name right, does a firewall stand between?"
        return Finding("fail", what, text, advice)
    return Finding("ok", what, f"{host}:{port} accepts connections")
