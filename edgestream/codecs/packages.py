"""Packages that only some codecs need, imported when the first payload comes."""

from __future__ import annotations

from edgestream.errors import EXIT_CONFIG, Fatal


def missing(extra: str, error: ImportError) -> Fatal:
    """What to install where a package is not there."""
    package = error.name or str(error)
    return Fatal(
        f"{extra} needs the package {package!r}: pip install 'edgestream[{extra}]'", EXIT_CONFIG
    )
