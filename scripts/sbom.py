"""The SBOM (CycloneDX 1.5) and the licences of what a worker is made of, from its pinned packages.

.venv/bin/python scripts/sbom.py            # writes deploy/sbom.cdx.json and deploy/licences.md
.venv/bin/python scripts/sbom.py --check    # says whether they are as they should be
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "deploy" / "requirements" / "worker.txt"
SBOM = ROOT / "deploy" / "sbom.cdx.json"
LICENCES = ROOT / "deploy" / "licences.md"
OTHERS = {"async-timeout": "Apache-2.0"}
"""Licences of what is installed with some versions of Python only."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"^\s+--hash=sha256:([0-9a-f]{64})\s*\\?$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: ``marker`` says where it is needed, ``hashes`` are those of all its files."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """The package URL."""
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def pins(lock: Path) -> Iterator[Pin]:
    """The packages of a lock file; raises ValueError for a line that is neither pin nor hash."""
    name = version = marker = ""
    hashes: list[str] = []
    for line in [*lock.read_text().splitlines(), "end==0"]:
        if not line.strip() or line.startswith("#"):
            continue
        if found := _HASH.match(line):
            hashes.append(found[1])
        elif found := _PIN.match(line):
            if name:
                yield Pin(name, version, marker, tuple(hashes))
            name, version, marker, hashes = found[1], found[2], found[3] or "", []
        else:
            raise ValueError(f"{lock}: {line!r} is neither a pinned package nor a hash")


def licence(name: str) -> str:
    """What an installed package says its licence is; empty where it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    said = about.get("License-Expression") or ""
    classified = [
        text.rpartition(" :: ")[2]
        for text in about.get_all("Classifier") or ()
        if text.startswith("License :: OSI Approved ::")
    ]
    stated = (about.get("License") or "").strip()
    first = stated.splitlines()[0] if stated else ""
    return said or " / ".join(classified) or first[:60] or "not stated"


def component(pin: Pin, known: str) -> dict[str, object]:
    """A package as CycloneDX writes it."""
    made: dict[str, object] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "licenses": [{"license": {"name": known}}],
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{pin.name}/{pin.version}/",
                "hashes": [{"alg": "SHA-256", "content": text} for text in pin.hashes],
            }
        ],
    }
    return made | ({"scope": "optional"} if pin.marker else {})


def version() -> str:
    """The version of edgestream."""
    text = (ROOT / "edgestream" / "_version.py").read_text()
    found = re.search(r'"([^"]+)"', text)
    if found is None:
        raise ValueError("edgestream/_version.py names no version")
    return found[1]


def made() -> dict[Path, str]:
    """Both files; what the SBOM that is there says of the same version's licence is kept."""
    before = json.loads(SBOM.read_text()) if SBOM.exists() else {"components": []}
    known = {one["purl"]: one["licenses"][0]["license"]["name"] for one in before["components"]}
    found = [
        (pin, known.get(pin.purl) or licence(pin.name) or OTHERS.get(pin.name, "unknown"))
        for pin in pins(LOCK)
    ]
    own = {
        "type": "application",
        "bom-ref": "edgestream",
        "name": "edgestream",
        "version": version(),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": [component(*each) for each in found],
    }
    rows = [f"| {pin.name} | {pin.version} | {text} |" for pin, text in found]
    head = (
        "# Licences\n\nWhat `edgestream[all]` installs; edgestream itself is Apache-2.0. "
        "Written by `scripts/lock`.\n\n| package | version | licence |\n| --- | --- | --- |\n"
    )
    return {SBOM: json.dumps(bom, indent=1) + "\n", LICENCES: head + "\n".join(rows) + "\n"}


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` compare."""
    stale = [path for path, text in made().items() if not path.exists() or path.read_text() != text]
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not as it should be: run scripts/lock")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
