"""Runs a command as a container would: another user, no capabilities, a read-only system.

What a container engine does is done with `unshare`, `mount` and `setpriv`: a mount namespace in
which all is read-only but the given folders and a fresh /tmp; then user and group of the manifest
that is shipped, with no capability left and none to be gained.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.process import find

ROOT = Path(__file__).parents[2]
PLACE = "/srv"
"""Where the given folders lie inside: in `PLACE`/name."""


def confined(
    command: Sequence[str], folders: Mapping[str, tuple[Path, bool]], *, user: int, group: int
) -> list[str]:
    """The command that runs ``command``; ``folders`` says for each name whether it is writable."""
    paths = {Path(sys.base_prefix), Path(sys.prefix), ROOT}
    needed = sorted(str(path) for path in paths if not paths & set(path.parents))
    closed = sorted({_closed(path) for path in needed} - {None}, key=str)
    lines = ["set -e", f"mount -t tmpfs -o mode=755 tmpfs {PLACE}"]
    for number, path in enumerate(needed):
        lines += [f"mkdir {PLACE}/.{number}", f"mount --bind {shlex.quote(path)} {PLACE}/.{number}"]
    for name, (path, _) in folders.items():
        lines += [f"mkdir {PLACE}/{name}", f"mount --bind {shlex.quote(str(path))} {PLACE}/{name}"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(path))}" for path in closed]
    lines.append("mount -t tmpfs -o mode=1777,size=16m tmpfs /tmp")
    for number, path in enumerate(needed):
        if any(Path(path).is_relative_to(top) for top in (*closed, "/tmp")):
            there = shlex.quote(path)
            lines += [f"mkdir -p {there}", f"mount --bind {PLACE}/.{number} {there}"]
    writable = [f"{PLACE}/{name}" for name, (_, may) in folders.items() if may]
    keep = "|".join(["/tmp", "/dev", "/dev/*", "/proc", "/proc/*", "/sys", "/sys/*", *writable])
    lines += [
        "while read -r _ _ _ _ place _; do",
        '  [ -e "$place" ] || continue',  # hidden beneath another mount
        f'  case "$place" in {keep}) ;; *) mount -o remount,bind,ro "$place" ;; esac',
        "done < /proc/self/mountinfo",
        f"cd {PLACE}",
        f"exec {find('setpriv')} --reuid {user} --regid {group} --clear-groups --bounding-set=-all"
        f" --inh-caps=-all --ambient-caps=-all --no-new-privs {shlex.join(command)}",
    ]
    unshare = [find("unshare"), "--mount", "--propagation", "private"]
    return [*unshare, find("bash"), "-c", "\n".join(lines)]


def _closed(path: str) -> Path | None:
    """The topmost folder on the way that others may not enter."""
    for folder in reversed([Path(path), *Path(path).parents]):
        if not os.stat(folder).st_mode & 0o001:  # noqa: PTH116 - a link is followed
            return folder
    return None
