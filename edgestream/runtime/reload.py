"""Changing the pipelines of a running worker to those that its files now describe.

Rules: a pipeline whose file did not change is not touched; one that cannot go on from the state of
the old one is not started, and the old one runs on; the old one is stopped with a checkpoint
before the new one starts from it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from edgestream.codecs.json import Json
from edgestream.errors import ConfigError
from edgestream.graph import build
from edgestream.runtime.change import left_behind
from edgestream.runtime.running import Running
from edgestream.runtime.worker import Worker
from edgestream.saved import restore, snapshot
from edgestream.spec import PipelineSpec

log = logging.getLogger("edgestream")


async def reload(worker: Worker, specs: Iterable[PipelineSpec], *, again: bool = False) -> None:
    """Make a worker run ``specs``; ``again``: start failed pipelines too, though unchanged."""
    wanted = {spec.name: spec for spec in specs}
    for running in list(worker.running):
        if running.spec.name not in wanted:
            log.warning("%s: its file is gone; it stops", running.spec.name)
            await worker.remove(running)
    for name, spec in wanted.items():
        old = next((running for running in worker.running if running.spec.name == name), None)
        if old is None:
            log.warning("%s: new; it starts", name)
            _try(worker, None, spec)
        elif old.spec != spec:
            await _change(worker, old, spec)
        elif again and old.state == "failed":
            log.warning("%s: it is started again", name)
            _try(worker, old, spec)


async def _change(worker: Worker, old: Running, spec: PipelineSpec) -> None:
    """From the old pipeline to the new, if its state goes on."""
    try:
        new = worker.make(spec)
        if old.state == "running":
            _check(worker, old, spec)
    except ConfigError as error:
        for problem in error.problems:
            log.error("%s: the change is not taken: %s", spec.name, problem)
        return
    log.warning("%s: changed; it goes on from a checkpoint", spec.name)
    await worker.replace(old, new)


def _check(worker: Worker, old: Running, spec: PipelineSpec) -> None:
    """Try the state on a graph of its own; raises `ConfigError` where some would be lost."""
    accept = worker.settings.accept
    trial = build(spec, Json(), worker.settings.allowed)
    restore(trial, snapshot(old.graph), accept)
    positions = {name: reader.position or {} for name, reader in old.readers.items()}
    waiting = {name: writer.undelivered for name, writer in old.writers.items()}
    found = [
        left.what for left in left_behind(trial, positions, {}, waiting) if left.name not in accept
    ]
    if found:
        raise ConfigError("; ".join(found))


def _try(worker: Worker, old: Running | None, spec: PipelineSpec) -> None:
    try:
        new = worker.make(spec)
    except ConfigError as error:
        for problem in error.problems:
            log.error("%s: it is not started: %s", spec.name, problem)
        return
    worker.add(new, instead_of=old)
