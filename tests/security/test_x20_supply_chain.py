"""X20: what is installed is what was pinned; a changed file and a missing hash fail."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "deploy" / "requirements").glob("*.txt"))
EXTRAS = {"dev": ("all", "demo", "dev"), "demo": ("demo",), "worker": ("all",)}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(.*)$", re.M)


def blocks(lock: Path) -> list[str]:
    """A pinned package and its hashes, each."""
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.M)
    return re.split(r"\n(?=\S)", text.strip())


def pinned(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version, _ in PIN.findall(lock.read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_everything_is_pinned_with_hashes(lock: Path) -> None:
    for block in blocks(lock):
        assert re.match(r"[A-Za-z0-9._-]+==[^\s;]+", block), block
        assert "--hash=sha256:" in block, block
        assert "http" not in block, block
        assert "git+" not in block, block


def test_there_is_a_lock_for_every_way_to_install() -> None:
    assert {lock.stem for lock in LOCKS} == set(EXTRAS)
    wanted = set(re.findall(r"^environment (\w+)$", _scripts(), re.M))
    assert wanted <= {lock.stem for lock in LOCKS}


def _scripts() -> str:
    folder = ROOT / "scripts"
    return "\n".join(path.read_text() for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_pins_are_what_pyproject_asks_for(lock: Path) -> None:
    """A dependency that was added or raised, and not pinned: run scripts/lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = list(project["dependencies"])
    left = list(EXTRAS[lock.stem])
    while left:
        for text in extras[left.pop()]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                left += requirement.extras
            else:
                wanted.append(text)
    pins = pinned(lock)
    for text in wanted:
        requirement = Requirement(text)
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{text} is not pinned in {lock.name}; run scripts/lock"
        fits = [version for version in versions if requirement.specifier.contains(version)]
        assert fits, f"{text}: {lock.name} has {versions}; run scripts/lock"


def test_scripts_install_with_hashes_only() -> None:
    installs = re.findall(r"pip install[^\n]*", _scripts())
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or "--no-deps" in line or "'uv>=" in line, line


def wheel(folder: Path, words: str) -> Path:
    """A package of one module."""
    path, about = folder / "pearl-1.0-py3-none-any.whl", "pearl-1.0.dist-info"
    files = {
        "pearl.py": words,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: pearl\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text)}\n"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            file.writestr(name, text)
    return path


def install(folder: Path, requirement: str) -> subprocess.CompletedProcess[str]:
    """As scripts/environment.sh does, from a folder instead of the index."""
    (folder / "lock.txt").write_text(requirement)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-input", "--require-hashes"]
    command += ["-r", folder / "lock.txt", "--no-index", "--find-links", folder]
    command += ["--target", folder / "installed", "--no-compile"]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_changed_file_is_not_installed(tmp_path: Path) -> None:
    digest = hashlib.sha256(wheel(tmp_path, "honest = 1\n").read_bytes()).hexdigest()
    assert install(tmp_path, f"pearl==1.0 --hash=sha256:{digest}\n").returncode == 0
    assert (tmp_path / "installed" / "pearl.py").exists()
    (tmp_path / "installed" / "pearl.py").unlink()
    wheel(tmp_path, "import os; os.system('id')\n")
    refused = install(tmp_path, f"pearl==1.0 --hash=sha256:{digest}\n")
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "installed" / "pearl.py").exists()


def test_a_package_without_a_hash_is_not_installed(tmp_path: Path) -> None:
    wheel(tmp_path, "honest = 1\n")
    refused = install(tmp_path, "pearl==1.0\n")
    assert refused.returncode != 0
    assert "hash" in refused.stderr.lower()


def test_no_package_runs_code_when_python_starts() -> None:
    """A ``.pth`` file with an import runs at every start; two such files are known."""
    known = {"_edgestream.pth", "distutils-precedence.pth"}
    folder = Path(sysconfig.get_paths()["purelib"])
    assert {path.name for path in folder.glob("*.pth")} - known == set()
    assert not (folder / "sitecustomize.py").exists()
    assert not (folder / "usercustomize.py").exists()


def test_what_is_installed_is_what_is_pinned() -> None:
    """Of all that is pinned; `environment dev` of scripts/environment.sh puts it right."""
    pins = pinned(ROOT / "deploy" / "requirements" / "dev.txt")
    installed = {
        canonicalize_name(found.name): found.version
        for found in metadata.distributions(path=[sysconfig.get_paths()["purelib"]])
    }
    known = installed.keys() & pins.keys()
    assert len(known) > 50
    assert {name: installed[name] for name in known if installed[name] not in pins[name]} == {}


def test_sbom_and_licences_are_those_of_the_pins() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "sbom.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_a_changed_pin_makes_the_sbom_stale(tmp_path: Path) -> None:
    """The check can fail: in a copy where one hash of the lock is another."""
    for name in ("scripts/sbom.py", "deploy/sbom.cdx.json", "deploy/licences.md"):
        copy(tmp_path, name)
    copy(tmp_path, "edgestream/_version.py")
    lock = copy(tmp_path, "deploy/requirements/worker.txt")
    digest = re.findall(r"sha256:([0-9a-f]{64})", lock.read_text())[0]
    lock.write_text(lock.read_text().replace(digest, "0" * 64))
    command = [sys.executable, str(tmp_path / "scripts" / "sbom.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "sbom.cdx.json is not as it should be: run scripts/lock" in done.stdout


def copy(folder: Path, name: str) -> Path:
    made = folder / name
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text((ROOT / name).read_text())
    return made


def test_no_licence_forbids_shipping() -> None:
    """Permissive ones, and MPL 2.0 for a tool that builds: nothing that asks for our sources."""
    text = (ROOT / "deploy" / "licences.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    for name, _, licence in rows[2:]:
        assert not re.search(r"\bA?GPL|unknown|not stated", licence), (name, licence)
