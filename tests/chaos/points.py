"""SIGKILL at named points of the path a message takes, each visited in turn.

    python -m tests.chaos.points --sink postgres-append --times 20
    python -m tests.chaos.points --only save.after --times 5

A point is a function of the runtime by name, before its call or after it: nothing in the runtime
knows of it, and one whose function is gone fails.
"""

from __future__ import annotations

import argparse
import inspect
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_settings
from pathlib import Path
from typing import Any, Literal, Protocol

from tests.chaos.oracle import Verdict
from tests.chaos.rig import Rig
from tests.chaos.seam import replace
from tests.chaos.worker import Settings
from tests.servers.worker import Worker

DIES_WITHIN = 20.0
"""Seconds after which a point was not passed."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place to die at.

    ``reached`` says how: while a stream runs (again and again), once at the start, at a start with
    something journalled that is in no checkpoint, or when the worker is told to stop. ``sink`` and
    ``source`` are empty where the point is passed with every one.
    """

    name: str
    target: str
    when: Literal["before", "after"]
    reached: Literal["often", "start", "replay", "stop"] = "often"
    sink: str = ""
    source: str = ""

    def arm(self, at: int, number: int = signal.SIGKILL) -> None:
        """Get this signal at the ``at``-th passage in this process."""
        passed = 0

        def maybe(when: str) -> None:
            nonlocal passed
            if when == self.when:
                passed += 1
                if passed == at:
                    # To this thread: another would be stopped a little later.
                    signal.pthread_kill(threading.get_ident(), number)

        def deadly(original: Callable[..., Any]) -> Callable[..., Any]:
            if inspect.iscoroutinefunction(original):

                async def later(*args: Any, **kwargs: Any) -> Any:
                    maybe("before")
                    result = await original(*args, **kwargs)
                    maybe("after")
                    return result

                return later

            def now(*args: Any, **kwargs: Any) -> Any:
                maybe("before")
                result = original(*args, **kwargs)
                maybe("after")
                return result

            return now

        replace(self.target, deadly)


READER = "edgestream.runtime.reader:Reader."
TASK = "edgestream.runtime.task:Task."
WRITER = "edgestream.runtime.writer:Writer."
LANE = "edgestream.runtime.lanes:Live."
RUNNING = "edgestream.runtime.running:Running."
TABLES = "edgestream.store.tables:"
CHECKPOINTS = "edgestream.store.checkpoints:"
THREAD = "edgestream.store.thread:StoreThread."
MQTT = "edgestream_connectors.mqtt.source:Mqtt."
HTTP = "edgestream_connectors.http.source:Http."
OUTPUT = "edgestream.sinks.output:Output."
COMMITTED = "edgestream.sinks.committed:Committed."
SQLITE = "edgestream.sinks.sqlite_session:Session."
POSTGRES = "edgestream_connectors.postgres.session:Session."

_ALL = (
    # reading
    Point("start.loaded", f"{CHECKPOINTS}load", "after", "start"),
    Point("start.replaying", f"{MQTT}unpack", "after", "replay", source="mqtt"),
    Point("http.replaying", f"{HTTP}unpack", "after", "replay", source="http"),
    Point("start.replayed", f"{RUNNING}_replay", "after", "start"),
    Point("open.recalled", f"{MQTT}recall", "after", "start", source="mqtt"),
    Point("open.connected", f"{READER}_open", "after", "start"),
    Point("read.before", f"{READER}_accept", "before"),
    Point("read.asked", f"{READER}_append", "after"),
    # the journal
    Point("append.before", f"{TABLES}append", "before"),
    Point("append.after", f"{TABLES}append", "after"),
    Point("commit.before", f"{THREAD}_commit", "before"),
    Point("commit.after", f"{THREAD}_commit", "after"),
    Point("commit.told", f"{THREAD}settle", "before"),
    # acknowledging
    Point("durable.before", f"{READER}durable", "before"),
    Point("ack.before", f"{MQTT}commit", "before", source="mqtt"),
    Point("ack.after", f"{MQTT}commit", "after", source="mqtt"),
    Point("answer.before", f"{HTTP}commit", "before", source="http"),
    Point("answer.after", f"{HTTP}commit", "after", source="http"),
    # processing
    Point("process.before", f"{TASK}process", "before"),
    Point("process.after", f"{TASK}process", "after"),
    # the checkpoint
    Point("cut.before", f"{TASK}_checkpoint", "before"),
    Point("cut.after", f"{TASK}_checkpoint", "after"),
    Point("save.before", f"{CHECKPOINTS}save", "before"),
    Point("save.outbox", f"{CHECKPOINTS}encode_batch", "before"),
    Point("save.collecting", f"{CHECKPOINTS}_forget_old", "before"),
    Point("save.after", f"{CHECKPOINTS}save", "after"),
    Point("offer.before", f"{WRITER}offer", "before"),
    Point("offer.after", f"{WRITER}offer", "after"),
    # the sink
    Point("sink.opened", f"{WRITER}_open", "after", "start"),
    Point("write.before", f"{WRITER}_write", "before"),
    Point("write.after", f"{WRITER}_write", "after"),
    Point("sqlite.flush.before", f"{SQLITE}flush", "before", sink="sqlite"),
    Point(
        "sqlite.token.before",
        "edgestream.sinks.sqlite_session:from_micros",
        "before",
        sink="sqlite",
    ),
    Point("sqlite.flush.after", f"{SQLITE}flush", "after", sink="sqlite"),
    Point("postgres.flush.before", f"{POSTGRES}commit", "before", sink="postgres"),
    Point(
        "postgres.commit.before",
        "asyncpg.transaction:Transaction.commit",
        "before",
        sink="postgres",
    ),
    Point(
        "postgres.commit.after",
        "asyncpg.transaction:Transaction.commit",
        "after",
        sink="postgres",
    ),
    Point("postgres.flush.after", f"{POSTGRES}commit", "after", sink="postgres"),
    Point("file.restore.before", f"{OUTPUT}_restore", "before", "start", sink="file"),
    Point("file.restore.after", f"{OUTPUT}_restore", "after", "start", sink="file"),
    Point("file.flush.before", f"{OUTPUT}flush", "before", sink="file"),
    Point("file.spill.after", f"{OUTPUT}_spill", "after", sink="file"),
    Point("file.commit.before", f"{COMMITTED}write", "before", sink="file"),
    Point("file.replace.before", f"{COMMITTED}_replace", "before", sink="file"),
    Point("file.replace.after", f"{COMMITTED}_replace", "after", sink="file"),
    Point("file.flush.after", f"{OUTPUT}flush", "after", sink="file"),
    Point("delivered.before", f"{LANE}delivered", "before"),
    Point("delivered.after", f"{LANE}delivered", "after"),
    Point("outbox.deleted", f"{CHECKPOINTS}delivered", "after"),
    # stopping
    Point("stop.processed", f"{TASK}finish", "before", "stop"),
    Point("stop.last-cut", f"{TASK}finish", "after", "stop"),
    Point("stop.writing", f"{RUNNING}_finish_writing", "before", "stop"),
    Point("stop.closing", f"{THREAD}close", "before", "stop"),
    Point("stop.closed", f"{THREAD}close", "after", "stop"),
)
POINTS = {point.name: point for point in _ALL}


class WorkerFailed(Exception):
    """The worker ended in another way than by its point."""


@dataclass(frozen=True, slots=True)
class Tour:
    """What came of dying at every point."""

    sink: str
    deaths: int
    points: int
    sent: int
    verdict: Verdict
    exit_code: int | None
    seconds: float

    @property
    def passed(self) -> bool:
        return self.verdict.clean and self.exit_code == 0


def points_of(sink: str, source: str = "mqtt") -> list[Point]:
    """The points that are passed with a sink and a source."""
    kind = sink.partition("-")[0]
    return [each for each in _ALL if each.sink in ("", kind) and each.source in ("", source)]


class Mortal(Protocol):
    """A pipeline that is killed and started again."""

    worker: Worker

    def start(self, settings: Settings | None = None, *, first: float = 60) -> float: ...

    def log(self) -> str: ...


def die_at(rig: Mortal, point: Point, at: int, settings: Settings) -> None:
    """Start a worker that dies at a point, and wait until it has."""
    if point.reached == "replay":
        # What was journalled is in no checkpoint if the worker has never got as far as one.
        die_at(rig, POINTS["save.before"], 1, settings)
    started = time.monotonic()
    arms = replace_settings(settings, die=point.name, at=at)
    rig.start(arms, first=60 if point.reached == "stop" else 0)
    if point.reached == "stop":
        rig.worker.process.signal(signal.SIGTERM)
    while rig.worker.process.running:
        if time.monotonic() - started > DIES_WITHIN:
            raise AssertionError(f"{point.name} was not passed {at} times")
        time.sleep(0.01)
    code = rig.worker.process.returncode
    if code != -signal.SIGKILL:
        raise WorkerFailed(f"{point.name}: exit code {code}: {rig.log()}")


def tour(
    folder: Path,
    sink: str,
    points: Sequence[Point],
    *,
    times: int = 1,
    seed: int = 7,
    settings: Settings | None = None,
    poison: bool = False,
    also: bool = False,
    latest: int = 4,
) -> Tour:
    """Die at every point ``times`` times, at a passage up to ``latest`` drawn from the seed."""
    began = time.monotonic()
    rng = random.Random(seed)
    given = settings or Settings()
    more = {"poison": poison, "also": also}
    with Rig(folder, sink, checkpoint="300ms", seed=seed, settings=given, **more) as rig:
        rig.begin()
        rig.worker.process.kill()
        for _ in range(times):
            for point in points:
                at = rng.randint(1, latest) if point.reached == "often" else 1
                die_at(rig, point, at, given)
        rig.start(given)
        verdict = rig.verdict()
        code = rig.stop()
        took = time.monotonic() - began
        return Tour(sink, times * len(points), len(points), rig.sent.sent, verdict, code, took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sink", default="sqlite-append")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="names of points")
    parser.add_argument("--each", action="store_true", help="a stream of its own for every point")
    parser.add_argument("--commit-delay", type=float, default=0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    chosen = [POINTS[name] for name in given.only] or points_of(given.sink)
    groups = [[point] for point in chosen] if given.each else [chosen]
    failed = False
    for group in groups:
        folder = Path(tempfile.mkdtemp(prefix="edgestream-chaos-"))
        found = tour(
            folder,
            given.sink,
            group,
            times=given.times,
            seed=given.seed,
            settings=Settings(given.commit_delay),
        )
        failed |= not found.passed
        names = group[0].name if given.each else "all"
        print(f"{names:24} {found}", flush=True)
        if found.passed:
            shutil.rmtree(folder)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
