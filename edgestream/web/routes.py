"""Which request gets which answer.

A path is matched whole, as it was sent: nothing is normalised, so ``//``, ``..`` and ``%2e``
find nothing. Each route says by itself whether it needs the token, and nothing changes state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, unquote

import h11
import msgspec

from edgestream.web import metrics
from edgestream.web.answers import Answer, json, text
from edgestream.web.view import View

_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_STYLE = "text/css; charset=utf-8"
FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "/": ("index.html", _HTML),
        "/app.js": ("app.js", _SCRIPT),
        "/charts.js": ("charts.js", _SCRIPT),
        "/format.js": ("format.js", _SCRIPT),
        "/graph.js": ("graph.js", _SCRIPT),
        "/layout.js": ("layout.js", _SCRIPT),
        "/sinks.js": ("sinks.js", _SCRIPT),
        "/icon.svg": ("icon.svg", "image/svg+xml"),
        "/style.css": ("style.css", _STYLE),
        "/uPlot.iife.min.js": ("uPlot.iife.min.js", _SCRIPT),
        "/uPlot.min.css": ("uPlot.min.css", _STYLE),
        "/uPlot.LICENSE.txt": ("uPlot.LICENSE.txt", "text/plain; charset=utf-8"),
    }
)
_PIPELINES = "/api/v1/pipelines"


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _State(msgspec.Struct):
    name: str
    state: str


class _States(msgspec.Struct):
    pipelines: list[_State]


@dataclass(frozen=True, slots=True)
class Site:
    """Everything the endpoint serves, and to whom."""

    view: View
    hosts: frozenset[str]
    token: bytes | None = None

    def respond(self, request: h11.Request, local: str) -> Answer:
        """The answer to one request that came in on the address ``local``."""
        try:
            self._refuse_strangers(request, local)
            return self._route(request)
        except _Refused as refused:
            return refused.answer
        except Exception:
            logging.getLogger(__name__).exception("cannot answer %r", request.target)
            return text(500, "the worker could not answer this; its log says why")

    def _refuse_strangers(self, request: h11.Request, local: str) -> None:
        """Let nothing pass that is not a plain question asked to this very host."""
        host = _host_name(_header(request, b"host"))
        # A page of another site whose name was pointed here (DNS rebinding) still sends its name.
        if host not in self.hosts and host != local:
            raise _Refused(text(421, "this host name is not served here; use the address"))
        if request.method not in (b"GET", b"HEAD"):
            raise _Refused(
                text(405, "only GET and HEAD: nothing here can be changed", Allow="GET, HEAD")
            )
        # Without bodies there is nothing to disagree about where one ends.
        if _header(request, b"transfer-encoding") or _header(request, b"content-length") not in (
            "",
            "0",
        ):
            raise _Refused(text(400, "a request here has no body"))

    def _route(self, request: h11.Request) -> Answer:
        path, _, query = request.target.decode("latin-1").partition("?")
        file = FILES.get(path)
        if file is not None:  # the same for everybody and without data: needs no token
            return _file(*file)
        trusted = self._trusts(request)
        probe = _PROBES.get(path)
        if probe is not None:  # a kubelet has no token: it gets the status, not the reasons
            return _verdict(probe(self.view), trusted)
        answer = self._data(path)
        if answer is None:
            raise _Refused(text(404, "nothing here"))
        if not trusted:
            raise _Refused(
                text(401, "send the token: Authorization: Bearer …", WWW_Authenticate="Bearer")
            )
        return answer(query)

    def _data(self, path: str) -> Callable[[str], Answer] | None:
        """What answers a path that shows data."""
        if path == "/metrics":
            return lambda _: self._metrics()
        if path == _PIPELINES:
            return lambda _: json(self.view.pipelines())
        parts = path.removeprefix(f"{_PIPELINES}/").split("/")
        if path.startswith(f"{_PIPELINES}/") and len(parts) == 2 and parts[1] == "rows":
            return lambda query: self._rows(unquote(parts[0]), query)
        return None

    def _metrics(self) -> Answer:
        page = metrics.render(self.view.metrics())
        return Answer(200, page.encode(), metrics.CONTENT_TYPE)

    def _rows(self, pipeline: str, query: str) -> Answer:
        sink, after = _rows_query(query)
        rows = self.view.rows(pipeline, sink, after)
        if rows is None:
            raise _Refused(text(404, "no such pipeline or sink"))
        return json(rows)

    def _trusts(self, request: h11.Request) -> bool:
        if self.token is None:
            return True
        from hmac import compare_digest  # noqa: PLC0415 - brings hashlib, seldom needed

        scheme, _, given = _header(request, b"authorization").partition(" ")
        # Compared whole even where the scheme is wrong, so that time tells nothing.
        same = compare_digest(given.strip().encode("latin-1"), self.token)
        return same and scheme.lower() == "bearer"


def _live(view: View) -> Sequence[str]:
    return view.live()


def _ready(view: View) -> Sequence[str]:
    return view.ready()


def _started(view: View) -> Sequence[str]:
    states = msgspec.convert(view.pipelines(), _States).pipelines
    return [f"{one.name}: starting" for one in states if one.state == "starting"]


_PROBES: Mapping[str, Callable[[View], Sequence[str]]] = MappingProxyType(
    {"/livez": _live, "/readyz": _ready, "/startupz": _started}
)


def _verdict(missing: Sequence[str], trusted: bool) -> Answer:
    if not missing:
        return text(200, "ok")
    return text(503, "\n".join(missing) if trusted else "not ok; the reasons need the token")


def _file(name: str, content_type: str) -> Answer:
    # Read when asked, not kept: most workers never show their page.
    path = Path(__file__).with_name("static") / name
    return Answer(200, path.read_bytes(), content_type, cache="no-cache")


def _rows_query(query: str) -> tuple[str, int]:
    fields = parse_qs(query, keep_blank_values=True)
    sinks, afters = fields.pop("sink", []), fields.pop("after", ["0"])
    if fields or len(sinks) != 1 or len(afters) != 1:
        raise _Refused(text(400, "expected ?sink=ID&after=NUMBER"))
    # Nineteen digits would not fit into 64 bits; isdecimal() alone lets other scripts in.
    if not (afters[0].isascii() and afters[0].isdecimal() and len(afters[0]) <= 18):
        raise _Refused(text(400, "after: expected a whole number, as 'next' of the last answer"))
    return sinks[0], int(afters[0])


def _header(request: h11.Request, name: bytes) -> str:
    """A header field's value, several joined by commas; empty where there is none."""
    return ",".join(value.decode("latin-1") for key, value in request.headers if key == name)


def _host_name(host: str) -> str:
    """The name in a Host field, without the port."""
    name, colon, port = host.rpartition(":")
    if colon and (port.isdecimal() or not port) and (":" not in name or name.endswith("]")):
        host = name
    return host.lower()
