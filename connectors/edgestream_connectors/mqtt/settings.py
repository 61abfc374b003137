"""What the MQTT source and sink have in common: checking their settings, and logging in."""

from __future__ import annotations

import re
from zlib import crc32

from edgestream import ConfigError, Problem, Secret
from edgestream_connectors.mqtt.address import Address
from edgestream_connectors.mqtt.tls import Tls

_UNSAFE = re.compile(r"[^A-Za-z0-9-]+")


def connection_problems(url: str, tls: Tls, username: str, password: object) -> list[Problem]:
    """What does not fit together in the settings of a connection."""
    problems = [problem.under("tls") for problem in tls.problems()]
    try:
        address = Address.of(url)
    except ConfigError as error:
        return [*error.problems, *problems]
    if tls != Tls() and not address.tls:
        problems.append(Problem("TLS settings, but a URL without TLS", ("url",), "write mqtts://"))
    if password is not None and not username:
        problems.append(Problem("a password without a user name", ("username",), "set username"))
    return problems


def revealed(password: Secret | str | None) -> str | None:
    """The password itself."""
    return password.reveal() if isinstance(password, Secret) else None


def client_id(chosen: str, step: str) -> str:
    """The client id: as chosen, else made of the step's id in characters every broker takes.

    The checksum keeps steps apart whose ids differ in other characters only.
    """
    if chosen:
        return chosen
    return f"edgestream-{_UNSAFE.sub('-', step)[:80]}-{crc32(step.encode()):08x}"
