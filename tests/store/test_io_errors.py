"""Every n-th write and fsync of the state file fails once, for real as far as SQLite can tell."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source_tree import ROOT

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/types.h>
static int left_syncs, left_writes;
void fail_after(int syncs, int writes) { left_syncs = syncs; left_writes = writes; }
static int hit(int *left) { return *left > 0 && --*left == 0; }
#define SYNC(name) int name(int fd) { \
  static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, #name); \
  if (hit(&left_syncs)) { errno = EIO; return -1; } return real(fd); }
SYNC(fsync)
SYNC(fdatasync)
#define WRITE(name, off) ssize_t name(int fd, const void *data, size_t size, off at) { \
  static ssize_t (*real)(int, const void *, size_t, off); \
  if (!real) real = dlsym(RTLD_NEXT, #name); \
  if (hit(&left_writes)) { errno = EIO; return -1; } return real(fd, data, size, at); }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)
"""
RUN = r"""
import asyncio, ctypes, json, sys
from pathlib import Path
from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.store.store import Store
from edgestream.store.tables import Cut, JournalRow

fail_after = ctypes.CDLL(sys.argv[1]).fail_after
LAST = 12

async def once(folder, syncs, writes):
    acknowledged, saved, error = [], 0, None
    try:
        store = await Store.open(folder, "p")
        fail_after(syncs, writes)
        try:
            for seq in range(1, LAST):
                await store.append(JournalRow(seq, "source", 1, seq, b"x" * 500))
                acknowledged.append(seq)
                if seq % 3 == 0:
                    state = State(1, {"seq": seq}, {})
                    await store.save(Cut(seq, 0, {"source": {"seq": seq}}, {}, {"step": state}))
                    saved = seq
        finally:
            fail_after(0, 0)
            await store.close()
    except StoreError as failed:
        error = [failed.exit_code, str(failed)]
    store = await Store.open(folder, "p")
    resume = await store.load()
    found = [row.seq for row in await store.blocks(0)]
    await store.close()
    return {"acknowledged": acknowledged, "found": found, "saved": saved, "error": error,
            "resumed": resume.states["step"].meta["seq"] if resume.states else 0,
            "damaged": resume.damaged}

async def main(folder):
    out = []
    for n in range(1, 18):
        for kind, given in (("sync", (n, 0)), ("write", (0, n))):
            out.append({"kind": kind, "n": n, **await once(folder / f"{kind}{n}", *given)})
    print(json.dumps(out))

asyncio.run(main(Path(sys.argv[2])))
"""


def test_what_is_acknowledged_is_there_whichever_call_fails(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make failing calls with")
    (tmp_path / "shim.c").write_text(SHIM)
    library = tmp_path / "shim.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, tmp_path / "shim.c", "-ldl"], check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", RUN, library, tmp_path],
        env={**os.environ, "LD_PRELOAD": str(library)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)
    failed = [case for case in cases if case["error"]]
    for case in cases:
        assert set(case["acknowledged"]) <= set(case["found"]), case
        assert case["resumed"] >= case["saved"], case
        assert case["damaged"] == [], case
        assert len(case["acknowledged"]) == 11 or case["error"], case
    assert {case["error"][0] for case in failed} == {74}
    assert all("nothing more is acknowledged" in case["error"][1] for case in failed)
    assert {case["kind"] for case in failed} == {"sync", "write"}
    assert len(failed) > 12
