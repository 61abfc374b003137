"""``python -m edgestream`` is the same as ``edgestream``."""

from edgestream.cli import main

main()
