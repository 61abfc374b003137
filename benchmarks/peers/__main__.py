"""``python -m benchmarks.peers [NAME…]``: get the peers that are not there yet."""

from __future__ import annotations

import argparse
import sys

from benchmarks.peers.build import BUILDS, Missing, build, folder


def main() -> int:
    """Get each peer named, or all; 1 if one could not be had."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BUILDS, []], metavar="NAME")
    names = parser.parse_args().names or list(BUILDS)
    missing = 0
    for name in names:
        try:
            build(name)
            print(f"{name}: ready in {folder()}", flush=True)
        except Missing as why:
            missing += 1
            print(f"{name}: not to be had: {why}", flush=True)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
