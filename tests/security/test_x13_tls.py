"""X13: old versions of TLS are refused, and renewed certificates count without a restart.

The rest of the matrix (expired, other host, unknown authority, no client certificate) is in
tests/connectors/mqtt/test_tls.py, against a real mosquitto.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from edgestream import Disconnected, Http, Mqtt
from edgestream.testing.connectors import context
from edgestream_connectors.mqtt.tls import Tls
from tests.servers.mosquitto import Certificates, Mosquitto
from tests.servers.process import free_port

pytestmark = pytest.mark.server


async def said(url: str, ca: Path, **more: str) -> str:
    source = Mqtt(url=url, topics=["a"], tls={"ca": str(ca), **more})
    with pytest.raises(Disconnected) as caught:
        await source.open(context("tls"), None)
    await source.close()
    return str(caught.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_versions_are_refused(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A server that speaks nothing newer (mosquitto cannot be told to)."""
    certificates = Certificates(tmp_path)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    old.load_cert_chain(*certificates.make("server"))

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=old)
    async with server:
        port = server.sockets[0].getsockname()[1]
        words = await said(f"mqtts://localhost:{port}", certificates.ca)
    assert "no TLS version in common" in words or "TLS" in words


async def test_every_side_begins_at_1_2(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    assert Tls(ca=str(certificates.ca)).context().minimum_version == ssl.TLSVersion.TLSv1_2
    cert, key = certificates.make("server")
    source = Http(f"127.0.0.1:{free_port()}", tls={"cert": str(cert), "key": str(key)})
    made = source.tls.context()
    assert made is not None
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_a_self_signed_certificate_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    own, other = Certificates(tmp_path / "own"), Certificates(tmp_path / "other", "other")
    alone = own.ca, own.folder / "ca.key"
    with Mosquitto(tmp_path / "broker", tls=alone) as broker:
        assert "signed by" in await said(broker.tls_url, other.ca)


async def test_a_renewed_certificate_counts_at_the_next_connection(tmp_path: Path) -> None:
    """The client's files are replaced in place, as a renewal does it; the source is the same."""
    certificates, strangers = Certificates(tmp_path / "a"), Certificates(tmp_path / "b", "other")
    tls = certificates.make("server")
    good, bad = certificates.make("client"), strangers.make("client")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with Mosquitto(tmp_path / "broker", tls=tls, ca=certificates.ca) as broker:
        files = {"cert": str(cert), "key": str(key)}
        source = Mqtt(url=broker.tls_url, topics=["a"], tls={"ca": str(certificates.ca), **files})
        for made, works in ((bad, False), (good, True), (bad, False)):
            cert.write_bytes(made[0].read_bytes())
            key.write_bytes(made[1].read_bytes())
            if works:
                await source.open(context("renewed"), None)
            else:
                with pytest.raises(Disconnected):
                    await source.open(context("renewed"), None)
            await source.close()
