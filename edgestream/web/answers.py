"""HTTP answers: a status, a body, and the headers that every answer carries."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

_ALWAYS = (
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Accept-Ranges", "none"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back for one request."""

    status: int
    body: bytes
    content_type: str = TEXT
    cache: str = "no-store"
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this answer: after anything but a success."""
        return self.status >= 400

    @property
    def reason(self) -> str:
        """What the status is called."""
        return HTTPStatus(self.status).phrase

    def headers(self) -> list[tuple[str, str]]:
        """All header fields, in the order they are sent."""
        fields = [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", self.cache),
            *_ALWAYS,
            *self.extra,
        ]
        return [*fields, ("Connection", "close")] if self.closes else fields


def text(status: int, words: str = "", **headers: str) -> Answer:
    """A plain text answer; without ``words``, what the status is called."""
    extra = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, f"{words or HTTPStatus(status).phrase}\n".encode(), extra=extra)


def json(value: object) -> Answer:
    """A value as JSON; a number that JSON cannot say (NaN, infinity) is null."""
    return Answer(200, msgspec.json.encode(value) + b"\n", JSON)
