"""X19: a worker needs no right that the image and the manifests take away, and gains none.

Tests build no image: Dockerfile and manifests are read and held to their rules, and the rules
themselves are then applied to a real worker with what Linux has (`confined`).
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.security.confined import PLACE, ROOT, confined
from tests.servers.process import Process, free_port
from tests.servers.worker import Worker

DEPLOY = ROOT / "deploy"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set a container up")


def manifests() -> dict[str, Any]:
    documents: dict[str, Any] = {}
    for path in sorted((DEPLOY / "base").glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        documents[document["kind"]] = document
    return documents


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    return manifests()["StatefulSet"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return only


# What is shipped.

LABELS = {"app.kubernetes.io/name": "edgestream"}


def test_the_pod_runs_as_nobody_with_nothing(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["runAsGroup"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()


def test_the_container_can_write_its_volume_and_tmp_only(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
    assert writable == ["/var/lib/edgestream", "/tmp"]
    kinds = {volume["name"]: volume for volume in pod["volumes"]}
    assert kinds["tmp"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}
    assert kinds["secrets"]["secret"]["defaultMode"] & 0o007 == 0
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_one_pod_holds_the_volume() -> None:
    spec = manifests()["StatefulSet"]["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert spec["replicas"] == 1
    assert spec["selector"]["matchLabels"] == LABELS
    assert spec["template"]["metadata"]["labels"] == LABELS
    assert manifests()["Service"]["spec"]["selector"] == LABELS


def test_limits_probes_and_the_grace_of_a_stop(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    assert container["resources"]["limits"]["memory"] == "192Mi"
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in PROBES}
    assert paths == PROBES
    arguments = container["args"]
    grace = float(arguments[arguments.index("--grace") + 1])
    assert grace < pod["terminationGracePeriodSeconds"]


PROBES = {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}


def test_what_others_can_reach_needs_the_token(container: dict[str, Any]) -> None:
    assert "0.0.0.0:8080" in container["args"]
    (token,) = [one for one in container["env"] if one["name"] == "EDGESTREAM_TOKEN"]
    assert "secretKeyRef" in token["valueFrom"]
    assert all("value" not in one for one in container["env"])


def test_the_network_is_closed_but_for_what_is_named() -> None:
    policy = manifests()["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["podSelector"]["matchLabels"] == LABELS
    blocks = [to["ipBlock"] for rule in policy["egress"] for to in rule["to"] if "ipBlock" in to]
    assert all("169.254.0.0/16" in block["except"] for block in blocks)
    assert all(rule.get("ports") for rule in policy["egress"] + policy["ingress"])


def test_the_service_account_has_no_token() -> None:
    assert manifests()["ServiceAccount"]["automountServiceAccountToken"] is False


def test_the_kustomization_names_every_file() -> None:
    base = DEPLOY / "base"
    listed = yaml.safe_load((base / "kustomization.yaml").read_text())
    files = {path.name for path in base.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == files
    # kustomize would write its labels into the selector of the DNS pods as well
    assert "includeSelectors" not in (base / "kustomization.yaml").read_text()
    for generator in listed["configMapGenerator"]:
        assert all((base / name).is_file() for name in generator["files"])


def dockerfile() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_slim_and_runs_as_nobody() -> None:
    steps = dockerfile()
    bases = [rest for word, rest in steps if word == "FROM"]
    assert len(bases) == 2
    assert all(base.startswith("python:${PYTHON}-slim") for base in bases)
    last = max(at for at, (word, _) in enumerate(steps) if word == "FROM")
    final = dict(steps[last:])
    assert final["USER"] == "65532:65532"
    assert final["VOLUME"] == "/var/lib/edgestream"
    assert json.loads(final["ENTRYPOINT"]) == ["edgestream"]
    assert "127.0.0.1:8080" in json.loads(final["CMD"])
    assert "RUN" not in [word for word, _ in steps[last:]]
    assert "ADD" not in [word for word, _ in steps]


def test_the_image_installs_what_is_pinned_and_keeps_no_installer() -> None:
    runs = [rest for word, rest in dockerfile() if word == "RUN"]
    assert "--require-hashes -r deploy/requirements/worker.txt" in runs[0]
    assert "--only-binary :all:" in runs[0]
    assert "--no-deps --no-build-isolation ." in runs[1]
    removed = set(re.findall(r"[a-z][a-z-]+", runs[1]))
    lock = (DEPLOY / "requirements" / "worker.txt").read_text()
    builders = {"editables", "hatchling", "packaging", "pathspec", "pluggy", "tomlkit"}
    assert builders | {"trove-classifiers", "pip"} <= removed
    assert all(f"\n{name}==" in lock for name in builders)


def test_only_what_is_needed_reaches_the_builder() -> None:
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert rules[0] == "*"
    copied = [rest.split()[:-1] for word, rest in dockerfile() if word == "COPY"]
    wanted = {name for names in copied for name in names if not name.startswith("-")}
    named = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert {name for name in wanted if not name.startswith("/")} == named


# The same rules on a real worker.

PIPELINE = f"""\
name: confined
source:
  generate: {{devices: 3, rate: 200}}
steps:
  - window: {{tumbling: 1s, by: device, aggregate: {{n: count()}}}}
sink:
  sqlite: {{path: {PLACE}/state/rows.sqlite, table: t}}
"""
ATTACKS = """
import ctypes, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def refused(call, *arguments):
    try:
        result = call(*arguments)
    except OSError as error:
        return error.strerror
    return "done" if result != -1 else os.strerror(ctypes.get_errno())

def write(path):
    with open(path, "w") as file:
        file.write("x")

print(json.dumps({
    "a file in the root": refused(write, "/here"),
    "a file in /etc": refused(write, "/etc/here"),
    "the program itself": refused(write, sys.argv[1] + "/edgestream/here"),
    "a pipeline": refused(write, sys.argv[2] + "/pipelines/p.yaml"),
    "the volume": refused(write, sys.argv[2] + "/state/here"),
    "/tmp": refused(write, "/tmp/here"),
    "user 0": refused(os.setuid, 0),
    "group 0": refused(os.setgid, 0),
    "giving a file away": refused(os.chown, sys.argv[2] + "/state", 0, 0),
    "a mount": refused(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None),
    "a raw socket": refused(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
    "a signal to init": refused(os.kill, 1, 0),
    "the name of the machine": refused(libc.sethostname, b"x", 1),
    "a device": refused(os.mknod, "/tmp/null", 0o20666, os.makedev(1, 3)),
    "a new root": refused(os.chroot, "/tmp"),
    "uid": os.getuid(), "groups": os.getgroups(),
    "status": {k: v.strip() for k, _, v in (l.partition(":") for l in open("/proc/self/status"))
               if k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")},
}))
"""


@pytest.fixture
def place(tmp_path: Path, pod: dict[str, Any]) -> dict[str, tuple[Path, bool]]:
    for name in ("state", "pipelines"):
        (tmp_path / name).mkdir()
    os.chown(tmp_path / "state", pod["securityContext"]["runAsUser"], 0)
    (tmp_path / "pipelines" / "p.yaml").write_text(PIPELINE)
    return {"state": (tmp_path / "state", True), "pipelines": (tmp_path / "pipelines", False)}


def as_in_the_pod(
    command: list[str], place: dict[str, tuple[Path, bool]], pod: dict[str, Any]
) -> list[str]:
    context = pod["securityContext"]
    return confined(command, place, user=context["runAsUser"], group=context["runAsGroup"])


@root_only
def test_nothing_can_be_written_or_gained(
    place: dict[str, tuple[Path, bool]], pod: dict[str, Any]
) -> None:
    command = [sys.executable, "-c", ATTACKS, str(ROOT), PLACE]
    done = subprocess.run(
        as_in_the_pod(command, place, pod), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("status") == {
        **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0000000000000000"),
        "NoNewPrivs": "1",
    }
    assert (said.pop("uid"), said.pop("groups")) == (65532, [])
    assert {what for what, became in said.items() if became == "done"} == {"the volume", "/tmp"}
    assert said["a file in the root"] == "Read-only file system"
    assert said["user 0"] == "Operation not permitted"


@root_only
@pytest.mark.server
def test_a_worker_does_its_work_in_there(
    tmp_path: Path, place: dict[str, tuple[Path, bool]], pod: dict[str, Any]
) -> None:
    worker = Worker(tmp_path, place["pipelines"][0])
    worker.port = free_port()
    command = [sys.executable, "-m", "edgestream", "worker", f"{PLACE}/pipelines"]
    command += ["--state-dir", f"{PLACE}/state", "--http", f"127.0.0.1:{worker.port}"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'connectors'}"}
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/tmp"}
    worker.process = Process(as_in_the_pod(command, place, pod), worker.log, env=env)
    worker.start(lambda: worker.metric("sink_rows_total") >= 3)
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", status, re.M)
    assert re.search(r"^CapBnd:\t0{16}$", status, re.M)
    assert worker.process.terminate(20) == 0, worker.log.read_text()
    with sqlite3.connect(tmp_path / "state" / "rows.sqlite") as rows:
        assert rows.execute("SELECT count(*) FROM t").fetchone()[0] >= 3
    rows.close()
    files = {path.name: path.stat() for path in (tmp_path / "state").iterdir()}
    assert "confined.db" in files
    assert all(found.st_uid == 65532 for found in files.values())
    assert all(stat.st_mode & 0o077 == 0 for name, stat in files.items() if "confined" in name)


@root_only
@pytest.mark.server
def test_without_its_volume_it_says_what_is_missing(
    tmp_path: Path, place: dict[str, tuple[Path, bool]], pod: dict[str, Any]
) -> None:
    command = [sys.executable, "-m", "edgestream", "worker", f"{PLACE}/pipelines"]
    command += ["--state-dir", "/var/lib/edgestream", "--http", "off"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'connectors'}", "HOME": "/tmp"}
    done = subprocess.run(
        as_in_the_pod(command, place, pod),
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 77, done.stderr
    assert "cannot create the state folder /var/lib/edgestream" in done.stderr
