"""Write what is derived from the code into ``docs/``: ``python -m edgestream.docs [FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgestream.docs.pages import refresh


def main(folder: Path) -> None:
    """Refresh a folder and name the files that changed."""
    for name in refresh(folder):
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m edgestream.docs",
        description="Write the pages of components, aggregates and the schema from the code.",
        epilog="example: python -m edgestream.docs docs",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"))
    main(parser.parse_args().folder)
