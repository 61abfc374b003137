"""Write what is derived from the code into ``docs/``: ``python -m edgestream.docs [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from edgestream.docs.pages import refresh


def main(folder: Path) -> None:
    """Refresh a folder and name the files that changed."""
    for name in refresh(folder):
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
