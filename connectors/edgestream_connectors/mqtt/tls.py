"""TLS: its settings, and what its failures mean in words that say what to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgestream import Disconnected, Problem, Secret, option

if TYPE_CHECKING:
    import ssl

ALLOW_INSECURE = "EDGESTREAM_ALLOW_INSECURE_TLS"


@dataclass(frozen=True)
class Tls:
    """How a server's certificate is checked, and which one is shown to it."""

    ca: str = option(
        default="", help="File with the certificate of the authority; default: the system's."
    )
    cert: str = option(
        default="", help="File with the client certificate, for servers that want one."
    )
    key: str = option(
        default="", help="File with the private key of cert; default: it stands in cert."
    )
    key_password: Secret | str | None = option(default=None, help="Password of the key.")
    server_name: str = option(
        default="", help="Name in the server's certificate; default: url's host."
    )
    insecure: bool = option(
        default=False,
        help=f"Do not check the certificate; needs {ALLOW_INSECURE}=1 in the environment.",
    )

    def problems(self) -> list[Problem]:
        """What does not fit together."""
        found: list[Problem] = []
        if self.insecure and os.environ.get(ALLOW_INSECURE) != "1":
            found.append(
                Problem(
                    "the server's certificate would not be checked",
                    ("insecure",),
                    f"set tls.ca instead, or {ALLOW_INSECURE}=1 in the environment",
                )
            )
        if self.key and not self.cert:
            found.append(Problem("a key without a certificate", ("key",), "set tls.cert too"))
        return found

    def context(self) -> ssl.SSLContext:
        """A new context, reading the files again; raises `Disconnected` naming a bad one."""
        import ssl  # noqa: PLC0415 - only where TLS is used

        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise Disconnected(f"tls.ca: cannot use {self.ca!r}: {_cause(error)}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            secret = self.key_password
            password = secret.reveal() if isinstance(secret, Secret) else ""
            try:
                # an empty password is better than OpenSSL asking for one on the terminal
                context.load_cert_chain(self.cert, self.key or None, password)
            except (OSError, ssl.SSLError) as error:
                files = " and ".join(repr(name) for name in (self.cert, self.key) if name)
                raise Disconnected(f"tls.cert: cannot use {files}: {_cause(error)}") from error
        return context


def _cause(error: Exception) -> str:
    """An error of the file system or of OpenSSL in a few words."""
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if reason:
        return str(reason).lower().replace("_", " ")
    return str(getattr(error, "strerror", None) or "not a PEM file, or a wrong password").lower()


_VERIFY = {
    9: "the server's certificate is not valid yet; check this machine's clock",
    10: "the server's certificate has expired; renew it on the server, or check this machine's "
    "clock",
    18: "the server's certificate is signed by itself; set tls.ca to a copy of it",
    62: "the server's certificate is for another host; use that name in url, or set "
    "tls.server_name",
    64: "the server's certificate is for another address; use its name in url, or set "
    "tls.server_name",
}
_UNKNOWN_CA = (
    "the server's certificate is signed by an authority unknown here; set tls.ca to the "
    "authority's certificate"
)
_WANTS_CERT = "the server requires a client certificate; set tls.cert and tls.key"
_ALERTS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port; use mqtt:// or its TLS "
    "port (usually 8883)",
    "CERTIFICATE_REQUIRED": _WANTS_CERT,
    "CERTIFICATE_EXPIRED": "the server says that the client certificate has expired; renew "
    "tls.cert",
    "UNKNOWN_CA": "the server does not know the authority that signed tls.cert",
    "BAD_CERTIFICATE": "the server refuses the client certificate tls.cert",
    "CERTIFICATE_UNKNOWN": "the server refuses the client certificate tls.cert",
    "CERTIFICATE_REVOKED": "the server says that the client certificate is revoked; renew tls.cert",
    "PROTOCOL_VERSION": "the server has no TLS version in common with this client (1.2 or later)",
}


def explain(error: ssl.SSLError) -> str:
    """What a TLS failure means and what to do about it."""
    code = getattr(error, "verify_code", None)
    if code is not None:
        if code in (18, 19, 20, 21):
            return _VERIFY.get(code, _UNKNOWN_CA)
        return _VERIFY.get(code, f"the server's certificate: {error.verify_message}")  # type: ignore[attr-defined]
    reason = str(error.reason or "")
    for alert, words in _ALERTS.items():
        if reason.endswith(alert):
            return words
    return f"TLS failed: {reason.lower().replace('_', ' ') or error}"
