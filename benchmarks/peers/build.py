"""Getting the peers: each into a cache folder, once, in a pinned version, from its registry.

The folder is ``$EDGESTREAM_PEERS``, by default ``~/.cache/edgestream/peers``. A build that ended
half way is no peer: each is made under another name and moved into place when it is whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.peers import versions


class Missing(Exception):
    """Why a peer cannot be run here."""


def folder() -> Path:
    """Where the peers are kept."""
    given = os.environ.get("EDGESTREAM_PEERS")
    return Path(given) if given else Path.home() / ".cache" / "edgestream" / "peers"


def telegraf() -> Path:
    """The program of Telegraf."""
    return folder() / f"telegraf-{versions.TELEGRAF}" / "telegraf"


def bento() -> Path:
    """The program of Bento."""
    return folder() / f"bento-{versions.BENTO}" / "bento"


def node_red() -> Path:
    """The script that Node.js runs for Node-RED."""
    return folder() / f"node-red-{versions.NODE_RED}" / "node_modules" / "node-red" / "red.js"


def python() -> Path:
    """The interpreter that has the Python peers."""
    return folder() / "python" / "bin" / "python"


def pyflink() -> Path:
    """The interpreter that has PyFlink."""
    return folder() / "pyflink" / "bin" / "python"


def build(name: str) -> Path:
    """Get a peer unless it is there already; its program."""
    place, make = BUILDS[name]
    target = place()
    # what was installed is written beside it, so that a change of versions installs anew
    if target.exists() and (name not in _PACKAGES or _installed(name) == _PACKAGES[name]):
        return target
    folder().mkdir(parents=True, exist_ok=True)
    make()
    if not target.exists():
        raise Missing(f"its build left no {target}")
    return target


def _installed(name: str) -> tuple[str, ...]:
    marker = folder() / name / "installed.txt"
    return tuple(marker.read_text().split()) if marker.exists() else ()


def _telegraf() -> None:
    go = _tool("go", "Go 1.25 or later")
    fresh = _fresh(telegraf().parent)
    command = [go, "install", "-p", "1", "-trimpath", "-ldflags", "-s -w"]
    command += ["-tags", ",".join(versions.TELEGRAF_TAGS)]
    command += [f"github.com/influxdata/telegraf/cmd/telegraf@{versions.TELEGRAF}"]
    _run(command, "building Telegraf (about 7 minutes)", {"GOBIN": str(fresh), "CGO_ENABLED": "0"})
    _keep(fresh, telegraf().parent)


def _bento() -> None:
    go = _tool("go", "Go 1.23 or later")
    fresh = _fresh(bento().parent)
    source = fresh / "source"
    source.mkdir()
    (source / "main.go").write_text(versions.BENTO_MAIN)
    (source / "go.mod").write_text(
        f"module bento\n\ngo 1.23.0\n\nrequire github.com/warpstreamlabs/bento {versions.BENTO}\n"
    )
    command = [go, "build", "-p", "1", "-trimpath", "-ldflags", "-s -w", "-o", str(fresh / "bento")]
    more = {"GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}
    _run([*command, "."], "building Bento (about 6 minutes)", more, source)
    shutil.rmtree(source)
    _keep(fresh, bento().parent)


def _node_red() -> None:
    npm = _tool("npm", "Node.js 20 or later with npm")
    place = node_red().parents[2]
    fresh = _fresh(place)
    command = [npm, "install", "--prefix", str(fresh), "--ignore-scripts", "--no-audit"]
    _run([*command, f"node-red@{versions.NODE_RED}"], "installing Node-RED (a minute)")
    _keep(fresh, place)


def _pyflink() -> None:
    _tool("java", "Java 17")
    _environment("pyflink", "installing PyFlink, 840 MB (minutes)")


def _python() -> None:
    _environment("python", "installing the Python peers (a minute)")


def _environment(name: str, what: str) -> None:
    place = folder() / name
    shutil.rmtree(place, ignore_errors=True)
    # not moved afterwards: an environment holds its own path
    _run([sys.executable, "-m", "venv", str(place)], f"making {place}")
    packages = _PACKAGES[name]
    try:
        _run([str(place / "bin" / "python"), "-m", "pip", "install", "-q", *packages], what)
    except Missing:
        shutil.rmtree(place)
        raise
    (place / "installed.txt").write_text("\n".join(packages) + "\n")


_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "python": versions.PYTHON,
    "pyflink": versions.PYFLINK,
}
BUILDS: Mapping[str, tuple[Callable[[], Path], Callable[[], None]]] = {
    "python": (python, _python),
    "pyflink": (pyflink, _pyflink),
    "node-red": (node_red, _node_red),
    "telegraf": (telegraf, _telegraf),
    "bento": (bento, _bento),
}


def _fresh(place: Path) -> Path:
    fresh = place.with_name(place.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    return fresh


def _keep(fresh: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)


def _tool(name: str, what: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{what} is not installed")
    return path


def _run(
    command: Sequence[str],
    what: str,
    more: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a step at the lowest priority, its output in a log beside the peers."""
    print(f"{what}: {' '.join(command)}", flush=True)
    log = folder() / "build.log"
    with log.open("ab") as output:
        done = subprocess.run(
            ["nice", "-n", "19", *command],
            env={**os.environ, **(more or {})},
            cwd=cwd or folder(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = log.read_text(errors="replace")[-600:].strip()
        raise Missing(f"{what} failed ({log}):\n{tail}")
