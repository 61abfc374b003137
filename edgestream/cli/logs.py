r"""Log lines on standard error: text for people, JSON for machines.

Rule: what data says can neither begin a line of its own nor command a terminal. In text, signs that
cannot be printed are written as ``\x1b``, and further lines of a traceback are indented.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from edgestream.errors import printable

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class TextLines(logging.Formatter):
    """One line a record; a traceback follows, indented."""

    def __init__(self) -> None:
        """Time of day, first letter of the level, logger, message."""
        super().__init__("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as it is called
        """The first line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - as it is called
        """The traceback, each line behind four spaces."""
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join("    " + printable(line) for line in lines)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        text = json.dumps(entry, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def set_up_logging(level: str, style: str = "text") -> None:
    """Send edgestream's log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger("edgestream")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())
