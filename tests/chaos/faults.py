"""The faults of a machine, a line, a broker and a clock, each with its verdict.

    python -m tests.chaos.faults                 # all of them
    python -m tests.chaos.faults --only F6.cut   # one

Numbers are those of the table in docs/reliability.md. Every fault hurts a running pipeline
(`tests.chaos.rig`) whose sink is judged window by window. Those of P4 are in
`tests.chaos.webhook_faults`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.chaos import webhook_faults
from tests.chaos.mishaps import RECONNECT, fill, mounted, resident, until
from tests.chaos.oracle import Verdict
from tests.chaos.publisher import END
from tests.chaos.rig import Rig
from tests.chaos.tap import Tap
from tests.chaos.worker import Settings, environment
from tests.servers.mosquitto import Mosquitto
from tests.servers.worker import Worker


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and what else was seen."""

    verdict: Verdict | None
    told: str = ""

    @property
    def clean(self) -> bool:
        return self.verdict is None or self.verdict.clean


Fault = Callable[[Path], Outcome]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def add(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return add


def acknowledging(rig: Rig) -> Callable[[], bool]:
    """Whether the worker has processed something since this was made."""
    name = "source_rows_total"
    before = rig.worker.metric(name)
    return lambda: rig.worker.metric(name) > before


def ended(rig: Rig, seconds: float) -> tuple[int, float]:
    """The exit code, and the seconds until it was there."""
    took = until(lambda: not rig.worker.process.running, seconds, "the end of the worker")
    code = rig.worker.process.returncode
    assert code is not None
    return code, took


@fault("F2.load")
def sigterm_under_load(folder: Path) -> Outcome:
    """SIGTERM under load, three times."""
    with Rig(folder, "sqlite-append") as rig:
        rig.begin()
        slowest = 0.0
        for _ in range(3):
            time.sleep(1)
            rig.worker.process.signal(signal.SIGTERM)
            code, took = ended(rig, 20)
            assert code == 0, rig.log()
            slowest = max(slowest, took)
            rig.start()
        return Outcome(rig.verdict(), f"exit 0 within {slowest:.2f} s")


@fault("F2.hung")
def sigterm_with_a_hung_sink(folder: Path) -> Outcome:
    """SIGTERM while the database does not answer: what it has not taken waits in the state file."""
    with Rig(folder, "postgres-append", proxied=True) as rig:
        rig.begin()
        time.sleep(2)
        assert rig.database_line is not None
        rig.database_line.frozen = True
        time.sleep(2)
        rig.worker.process.signal(signal.SIGTERM)
        code, took = ended(rig, 40)
        rig.database_line.frozen = False
        rig.start()
        return Outcome(rig.verdict(), f"exit {code} after {took:.1f} s (grace is 25 s)")


@fault("F2.double")
def two_sigterms(folder: Path) -> Outcome:
    """A second SIGTERM while the first waits for a hung database: it leaves at once."""
    with Rig(folder, "postgres-append", proxied=True) as rig:
        rig.begin()
        time.sleep(2)
        assert rig.database_line is not None
        rig.database_line.frozen = True
        time.sleep(2)
        rig.worker.process.signal(signal.SIGTERM)
        time.sleep(0.5)
        rig.worker.process.signal(signal.SIGTERM)
        code, took = ended(rig, 5)
        assert code == 128 + signal.SIGTERM
        rig.database_line.frozen = False
        rig.start()
        return Outcome(rig.verdict(), f"exit {code} after {took:.2f} s")


@fault("F4.restart")
def broker_restarts(folder: Path) -> Outcome:
    """The broker stops in good order and comes back with its sessions, three times."""
    with Rig(folder, "sqlite-append", persistent=True) as rig:
        rig.begin()
        slowest = 0.0
        for _ in range(3):
            time.sleep(1)
            rig.broker.stop()
            time.sleep(0.5)
            rig.broker.start()
            slowest = max(slowest, until(acknowledging(rig), RECONNECT, "messages again"))
        verdict = rig.verdict()
        # What the publisher sent again after a break may be there twice: that is its doing.
        again = sum(count for _, count in rig.sent.repeated)
        assert verdict.duplicated <= again, (verdict, again)
        told = f"back within {slowest:.1f} s; sent twice by the publisher: up to {again}"
        return Outcome(Verdict(verdict.windows, verdict.lost, 0, 0), told)


@fault("F4.kill")
def broker_dies(folder: Path) -> Outcome:
    """SIGKILL of the broker, twice, with its sessions and queues: what the worker acknowledged is
    there, and nothing more than it was given. What the broker lost is told apart."""
    with Rig(folder, "sqlite-append", proxied=True) as rig:
        assert rig.line is not None
        seen = Tap()
        rig.line.tap = seen
        rig.begin()
        slowest = 0.0
        for _ in range(2):
            time.sleep(1.5)
            rig.broker.kill()
            time.sleep(0.3)
            rig.broker.start()
            slowest = max(slowest, until(acknowledging(rig), RECONNECT, "messages again"))
        time.sleep(1)
        rig.verdict()
        size = rig.window * 1_000
        got = {(key[0], key[1] // 1_000_000): window[0] for key, window in rig.table()}
        least: Counter[tuple[str, int]] = Counter()
        most: Counter[tuple[str, int]] = Counter()
        for device, ts in seen.acknowledged:
            least[device, ts // size * size] += device != END
        for (device, ts), times in seen.given.items():
            most[device, ts // size * size] += times * (device != END)
        lost = sum(max(0, count - got.get(key, 0)) for key, count in least.items())
        more = sum(max(0, count - most[key]) for key, count in got.items())
        broker = rig.sent.sent - sum(device != END for device, _ in seen.given)
        told = f"back within {slowest:.1f} s; lost by the broker: {broker} of {rig.sent.sent}"
        return Outcome(Verdict(len(got), lost, more, 0), told)


@fault("F6.cut")
def line_cut(folder: Path) -> Outcome:
    """The line to broker and database is cut again and again."""
    with Rig(folder, "postgres-append", proxied=True) as rig:
        rig.begin()
        assert rig.line is not None
        assert rig.database_line is not None
        slowest = 0.0
        for _ in range(5):
            time.sleep(0.7)
            rig.line.cut()
            rig.database_line.cut()
            slowest = max(slowest, until(acknowledging(rig), RECONNECT, "messages again"))
        return Outcome(rig.verdict(), f"back within {slowest:.1f} s")


@fault("F6.latency")
def line_slow(folder: Path) -> Outcome:
    """Half a second each way, to broker and database, and a SIGKILL meanwhile."""
    with Rig(folder, "postgres-append", proxied=True) as rig:
        rig.begin()
        assert rig.line is not None
        assert rig.database_line is not None
        rig.line.latency = rig.database_line.latency = 0.5
        time.sleep(5)
        rig.worker.process.kill()
        rig.start()
        time.sleep(3)
        rig.line.latency = rig.database_line.latency = 0
        return Outcome(rig.verdict())


@fault("F6.resets")
def line_resets(folder: Path) -> Outcome:
    """One piece in twenty ends its connection."""
    with Rig(folder, "postgres-append", proxied=True) as rig:
        rig.begin()
        assert rig.line is not None
        assert rig.database_line is not None
        rig.line.resets = rig.database_line.resets = 0.05
        time.sleep(10)
        rig.line.resets = rig.database_line.resets = 0
        until(acknowledging(rig), RECONNECT, "messages again")
        made = rig.line.connections + rig.database_line.connections
        return Outcome(rig.verdict(), f"{made} connections")


@fault("F6.half-open")
def line_half_open(folder: Path) -> Outcome:
    """Connections stay open, and nothing passes any more (keep_alive and timeout are 5 s)."""
    with Rig(folder, "postgres-append", proxied=True) as rig:
        rig.begin()
        assert rig.line is not None
        assert rig.database_line is not None
        time.sleep(1.5)
        rig.line.frozen = rig.database_line.frozen = True
        time.sleep(9)
        rig.line.frozen = rig.database_line.frozen = False
        took = until(acknowledging(rig), RECONNECT, "messages again")
        return Outcome(rig.verdict(90), f"back {took:.1f} s after the line")


@fault("F7")
def disk_full(folder: Path) -> Outcome:
    """The disk of the state file is full for some seconds, then there is room again."""
    state = folder / "state"
    mounted(state, "24m")
    try:
        with Rig(folder, "sqlite-append") as rig:
            rig.begin()
            time.sleep(1)
            filler = state / "filler"
            fill(filler)
            until(lambda: "disk is full" in rig.log(), 60, "word of the full disk")
            time.sleep(2)
            alive = rig.worker.process.running
            filler.unlink()
            if not alive:
                rig.start()
            until(acknowledging(rig), RECONNECT, "messages again")
            return Outcome(rig.verdict(), "waited" if alive else "stopped and was started again")
    finally:
        subprocess.run(["umount", str(state)], check=True)


@fault("F11.jumps")
def clock_jumps(folder: Path) -> Outcome:
    """The wall clock goes back an hour, three days ahead, and to 1970; with SIGKILLs between."""
    now = time.time()
    wrong = Settings(wall=(0.0, -3600.0, 0.0, 259_200.0, -now, 0.0))
    with Rig(folder, "sqlite-append", settings=wrong) as rig:
        rig.begin()
        for _ in range(2):
            time.sleep(5)
            rig.worker.process.kill()
            rig.start()
        time.sleep(7)
        return Outcome(rig.verdict())


@fault("F11.boot")
def clock_of_1970(folder: Path) -> Outcome:
    """A machine without a clock: 1970 at the start, the right time three seconds later."""
    wrong = Settings(wall=(-time.time(), -time.time(), -time.time(), 0.0))
    with Rig(folder, "sqlite-append", settings=wrong) as rig:
        rig.begin()
        time.sleep(5)
        return Outcome(rig.verdict())


@fault("F12")
def poison(folder: Path) -> Outcome:
    """A message in thirty cannot be read, with SIGKILLs between: each is a dead letter, once."""
    with Rig(folder, "sqlite-append", poison=True) as rig:
        rig.begin()
        for _ in range(3):
            time.sleep(0.8)
            rig.worker.process.kill()
            rig.start()
        verdict = rig.verdict()
        return Outcome(verdict, f"{rig.sent.poison} dead letters")


@fault("F13.files")
def few_files(folder: Path) -> Outcome:
    """No more than 64 open files."""
    with Rig(folder, "postgres-append", before=("prlimit", "--nofile=64:64")) as rig:
        rig.begin()
        time.sleep(2)
        rig.worker.process.kill()
        rig.start()
        return Outcome(rig.verdict())


@fault("F13.memory")
def little_memory(folder: Path) -> Outcome:
    """96 MiB for the worker and its page cache (memory cgroup), at five times the rate."""
    group = Path("/sys/fs/cgroup/memory") / f"edgestream-chaos-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no memory cgroup (version 1) to be made here")
    try:
        (group / "memory.limit_in_bytes").write_text(str(96 << 20))
        inside = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        with Rig(folder, "sqlite-append", before=("sh", "-c", inside, "sh")) as rig:
            rig.begin()
            rig.signal_publisher(signal.SIGUSR1)
            time.sleep(6)
            verdict = rig.verdict()
            most = int((group / "memory.max_usage_in_bytes").read_text()) >> 20
            killed = "oom_kill 0" not in (group / "memory.oom_control").read_text()
            assert rig.worker.process.running, rig.log()
            return Outcome(verdict, f"most {most} MiB with page cache, killed: {killed}")
    finally:
        group.rmdir()


@fault("F15.reorder")
def out_of_order(folder: Path) -> Outcome:
    """Rows come up to 0.9 s late and out of order (delay is 1 s), with SIGKILLs between."""
    with Rig(folder, "sqlite-append", jitter=0.9) as rig:
        rig.begin()
        for _ in range(3):
            time.sleep(0.8)
            rig.worker.process.kill()
            rig.start()
        return Outcome(rig.verdict())


@fault("F17.config")
def bad_configuration(folder: Path) -> Outcome:
    """A mistake in the file, and a secret that is not there: exit 78, and nothing is started."""
    folder.mkdir(exist_ok=True)
    told = []
    for name, text in (
        ("typo", "name: a\nsource: {generate: {rate: 1}}\nsink: {sqlit: {path: x.db}}\n"),
        (
            "secret",
            'name: a\nsource: {mqtt: {url: "mqtt://localhost:1", topics: [a], '
            'password: "${NOT_THERE}"}}\nsink: {stdout: {}}\n',
        ),
    ):
        path = folder / f"{name}.yaml"
        path.write_text(text)
        worker = Worker(folder, path, env=environment())
        worker.process.start(lambda: True)
        until(lambda worker=worker: not worker.process.running, 20, "the end")
        assert worker.process.returncode == 78, worker.log.read_text()
        assert not (folder / "state" / "a.db").exists()
        told.append(f"{name}: 78")
    return Outcome(None, ", ".join(told))


@fault("F17.absent")
def broker_absent(folder: Path) -> Outcome:
    """No broker at the start: the worker is not ready, waits, and begins when it is there."""
    broker = Mosquitto(folder)
    path = folder / "p.yaml"
    path.write_text(
        f'name: a\nsource: {{mqtt: {{url: "{broker.url}", topics: [a]}}}}\nsink: {{stdout: {{}}}}\n'
    )
    worker = Worker(folder, path, env=environment())
    worker.process.start(lambda: worker.get("/livez")[0] == 200)
    time.sleep(2)
    assert worker.process.running
    assert not worker.ready()
    with broker:
        took = until(worker.ready, RECONNECT, "ready")
        assert worker.process.terminate() == 0
    return Outcome(None, f"ready {took:.1f} s after the broker")


@fault("F18")
def burst(folder: Path) -> Outcome:
    """Five times the load, then nothing: memory and state file stay within bounds."""
    with Rig(folder, "sqlite-append", rate=3_000) as rig:
        rig.begin()
        time.sleep(2)
        rig.signal_publisher(signal.SIGUSR1)
        most = 0
        for _ in range(16):
            time.sleep(0.5)
            most = max(most, resident(rig.worker.process.pid))
        rig.signal_publisher(signal.SIGUSR2)
        time.sleep(3)
        size = sum(path.stat().st_size for path in (folder / "state").iterdir()) >> 20
        verdict = rig.verdict()
        return Outcome(
            verdict, f"{rig.sent.sent} messages, RSS at most {most} MiB, state {size} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    failed = 0
    known = {**FAULTS, **webhook_faults.FAULTS}
    for name in given.only or known:
        folder = Path(tempfile.mkdtemp(prefix="edgestream-chaos-"))
        began = time.monotonic()
        try:
            found = known[name](folder)
        except pytest.skip.Exception as why:
            print(f"skipped  {name:14} {why}", flush=True)
            continue
        except AssertionError as error:
            failed += 1
            print(f"FAILED   {name:14} {error}  ({folder})", flush=True)
            continue
        failed += not found.clean
        verdict = asdict(found.verdict) if found.verdict else ""
        word = "ok      " if found.clean else "FAILED  "
        took = time.monotonic() - began
        print(f"{word} {name:14} {verdict} {found.told}  ({took:.0f} s, {folder})", flush=True)
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
