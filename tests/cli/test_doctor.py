from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgestream.cli import doctor, machine
from edgestream.registry import installed
from tests.cli.run import Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("EDGESTREAM_STATE_DIR", str(tmp_path))
    return Cli(capsys)


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_line_has_a_mark(cli: Cli, tmp_path: Path) -> None:
    ran = cli("doctor")
    assert ran.code in (0, 1)
    lines = [line for line in ran.out.splitlines() if not line.startswith(" ")]
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "fail"}
    assert any(line.split()[:2] == ["ok", "python"] for line in lines)
    assert any("state folder" in line and str(tmp_path) in line for line in lines)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_as_json(cli: Cli) -> None:
    found = json.loads(cli("doctor", "--output", "json").out)
    assert {"python", "edgestream", "numpy", "msgspec", "pyyaml", "sqlite", "fsync"} <= {
        line["what"] for line in found
    }
    assert all(line["advice"] for line in found if line["mark"] != "ok")


def test_a_broker_that_can_be_reached(cli: Cli, listening: int) -> None:
    found = json.loads(
        cli("doctor", "--broker", f"mqtt://127.0.0.1:{listening}", "--output", "json").out
    )
    assert found[-1] == {
        "mark": "ok",
        "what": "mqtt",
        "found": f"127.0.0.1:{listening} accepts connections",
        "advice": "",
    }


def test_one_that_cannot_be_is_a_failure_and_shows_no_password(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ran = cli("doctor", "--broker", f"mqtt://me:hunter2@127.0.0.1:{port}")
    assert ran.code == 1
    assert f"127.0.0.1:{port} cannot be reached: Connection refused" in ran.out
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize("url", ["localhost:1883", "http://x", "mqtt://", "mqtt://x:99999"])
def test_what_is_no_address_is_a_usage_error(cli: Cli, url: str) -> None:
    ran = cli("doctor", "--broker", url)
    assert ran.code == 2
    assert "expected a URL with mqtt://" in ran.err


def test_a_package_that_is_missing_or_too_old() -> None:
    missing = doctor._package("no-such-package>=1.0", 'pip install "edgestream[x]"')
    assert (missing.mark, missing.advice) == ("warn", 'pip install "edgestream[x]"')
    assert doctor._package("no-such-package>=1.0", "").mark == "fail"
    old = doctor._package("numpy>=999.0", "")
    assert old.mark == "fail"
    assert old.advice == 'pip install "numpy>=999.0"'
    assert doctor._package("numpy>=1.2", "").mark == "ok"


def test_extras_are_found_by_the_components_that_need_them() -> None:
    found = {line.what: line for line in doctor.extras(installed())}
    assert {"asyncpg", "redis"} <= set(found)


def test_a_state_folder_is_made_where_it_can_be(tmp_path: Path) -> None:
    first = next(machine.state_folder(tmp_path / "a" / "b"))
    assert (first.mark, first.found) == ("ok", f"{tmp_path}/a/b will be made")


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    (found,) = machine.state_folder(tmp_path / "state")
    assert found.mark == "fail"
    assert "EDGESTREAM_STATE_DIR" in found.advice


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (found,) = machine.state_folder(tmp_path)
    assert found.mark == "fail"


@pytest.mark.parametrize(
    ("seconds", "mark"), [(20e-6, "warn"), (51e-6, "ok"), (0.01, "ok"), (0.5, "warn")]
)
def test_how_long_a_sync_takes(
    seconds: float, mark: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "fsync_seconds", lambda folder: seconds)
    found = machine._durable(tmp_path, "/dev/mmcblk0p2")
    assert found.mark == mark
    assert ("SD card" in found.advice) == (seconds < 50e-6)


def test_a_sync_is_measured(tmp_path: Path) -> None:
    assert machine.fsync_seconds(tmp_path) > 0


MOUNTS = """\
/dev/root / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/mmcblk0p3 /data/my\\040disk ext4 rw 0 0
server:/x /net nfs4 rw 0 0
overlay /c overlay rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind", "device"),
    [
        ("/", "ext4", "/dev/root"),
        ("/runner", "ext4", "/dev/root"),
        ("/run/edgestream", "tmpfs", "tmpfs"),
        ("/data/my disk/state", "ext4", "/dev/mmcblk0p3"),
    ],
)
def test_the_file_system_of_a_folder(folder: str, kind: str, device: str) -> None:
    assert machine.filesystem(Path(folder), MOUNTS) == (kind, device)


@pytest.mark.parametrize(
    ("kind", "mark"), [("ext4", "ok"), ("tmpfs", "warn"), ("overlay", "warn"), ("nfs4", "fail")]
)
def test_what_the_state_is_kept_on(kind: str, mark: str) -> None:
    assert [found.mark for found in machine._kept_on(kind)] == [mark]


def test_the_clock() -> None:
    assert [found.mark for found in machine.clock(1970, "no")] == ["fail", "warn"]
    assert [found.mark for found in machine.clock(2027, "yes")] == ["ok", "ok"]
    assert [found.mark for found in machine.clock(2027, "")] == ["ok"]


def test_limits() -> None:
    assert [found.mark for found in machine.limits(256)] == ["warn"]
    assert [found.mark for found in machine.limits(1024)] == ["ok"]
    assert [found.mark for found in machine.limits()] != []


def test_serial_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.found for found in machine.serial_devices(tmp_path)] == ["none is there"]
    (tmp_path / "ttyUSB0").write_text("")
    assert [found.mark for found in machine.serial_devices(tmp_path)] == ["ok"]
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (found,) = machine.serial_devices(tmp_path)
    assert found.mark == "warn"
    assert "usermod -aG" in found.advice
