"""TLS and logins against a real mosquitto: what works, and what is said where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgestream import Disconnected, Secret
from edgestream.testing.connectors import batch, context
from edgestream_connectors.mqtt import Mqtt, MqttSink
from edgestream_connectors.mqtt.tls import ALLOW_INSECURE
from tests.connectors.mqtt.other_side import payloads, read
from tests.servers.mosquitto import Certificates, Mosquitto

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def secure(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("tls"), tls=certificates.make("server")) as broker:
        yield broker


@pytest.fixture(scope="module")
def mutual(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mosquitto]:
    tls = certificates.make("mutual-server")
    folder = tmp_path_factory.mktemp("mutual")
    with Mosquitto(folder, tls=tls, ca=certificates.ca) as broker:
        yield broker


async def goes_through(url: str, place: str, tls: dict[str, object]) -> None:
    """Rows published over TLS come back over TLS, many at once."""
    source = Mqtt(url=url, topics=[f"{place}/{{device}}"], tls=tls)
    sink = MqttSink(url=url, topic=f"{place}/{{device}}", tls=tls)
    await source.open(context(f"{place}.in"), None)
    await sink.open(context(f"{place}.out"))
    await sink.write(batch(list(range(5000))))
    await sink.flush(None)
    items = await read(source, 5000)
    await source.commit(len(items))
    assert len(payloads(items)) == 5000
    await sink.close()
    await source.close()


async def says(url: str, tls: dict[str, object]) -> str:
    source = Mqtt(url=url, topics=["a"], tls=tls)
    with pytest.raises(Disconnected) as caught:
        await source.open(context("tls.test"), None)
    await source.close()
    return str(caught.value)


async def test_tls(secure: Mosquitto, certificates: Certificates, place: str) -> None:
    await goes_through(secure.tls_url, place, {"ca": str(certificates.ca)})


async def test_mutual_tls(mutual: Mosquitto, certificates: Certificates, place: str) -> None:
    cert, key = certificates.make("client")
    tls = {"ca": str(certificates.ca), "cert": str(cert), "key": str(key)}
    await goes_through(mutual.tls_url, place, tls)


async def test_key_with_a_password(
    mutual: Mosquitto, certificates: Certificates, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_PASSWORD", "opensesame")
    cert, key = certificates.make("locked", password="opensesame")
    tls = {"ca": str(certificates.ca), "cert": str(cert), "key": str(key)}
    await goes_through(mutual.tls_url, place, {**tls, "key_password": "${KEY_PASSWORD}"})
    wrong = await says(mutual.tls_url, {**tls, "key_password": Secret("wrong", "${X}")})
    assert "tls.cert: cannot use" in wrong
    assert "tls.cert: cannot use" in await says(mutual.tls_url, tls)


async def test_missing_client_certificate(mutual: Mosquitto, certificates: Certificates) -> None:
    said = await says(mutual.tls_url, {"ca": str(certificates.ca)})
    assert "requires a client certificate" in said
    assert "set tls.cert and tls.key" in said


async def test_client_certificate_of_an_unknown_authority(
    mutual: Mosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    cert, key = Certificates(tmp_path, "somebody else").make("stranger")
    tls = {"ca": str(certificates.ca), "cert": str(cert), "key": str(key)}
    assert "client certificate" in (said := await says(mutual.tls_url, tls)) or "tls.cert" in said


async def test_unknown_authority(secure: Mosquitto) -> None:
    said = await says(secure.tls_url, {})
    assert f"cannot reach {secure.tls_url}: the server's certificate is signed by" in said
    assert "set tls.ca" in said


async def test_expired_certificate(certificates: Certificates, tmp_path: Path) -> None:
    with Mosquitto(tmp_path, tls=certificates.make("expired", days=-1)) as broker:
        said = await says(broker.tls_url, {"ca": str(certificates.ca)})
    assert "the server's certificate has expired; renew it on the server" in said


async def test_certificate_of_another_host(
    certificates: Certificates, tmp_path: Path, place: str
) -> None:
    tls: dict[str, object] = {"ca": str(certificates.ca)}
    with Mosquitto(tmp_path, tls=certificates.make("other", host="broker.plant")) as broker:
        said = await says(broker.tls_url, tls)
        assert "the server's certificate is for another host" in said
        assert "tls.server_name" in said
        await goes_through(broker.tls_url, place, {**tls, "server_name": "broker.plant"})


async def test_insecure_needs_the_environment(
    secure: Mosquitto, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW_INSECURE, "1")
    await goes_through(secure.tls_url, place, {"insecure": True})


async def test_tls_at_a_plain_port(secure: Mosquitto) -> None:
    said = await says(secure.url.replace("mqtt://127.0.0.1", "mqtts://localhost"), {})
    assert "TLS" in said


async def test_plain_at_a_tls_port(secure: Mosquitto) -> None:
    said = await says(f"mqtt://localhost:{secure.tls_port}", {})
    assert "does this port expect TLS (mqtts://)?" in said


@pytest.mark.parametrize("name", ["ca", "cert"])
async def test_unusable_files(secure: Mosquitto, name: str, tmp_path: Path) -> None:
    said = await says(secure.tls_url, {name: str(tmp_path / "none.pem")})
    assert f"tls.{name}: cannot use" in said
    assert "no such file" in said
    (tmp_path / "junk.pem").write_text("junk")
    said = await says(secure.tls_url, {name: str(tmp_path / "junk.pem")})
    assert f"tls.{name}: cannot use" in said


async def test_key_of_another_certificate(secure: Mosquitto, certificates: Certificates) -> None:
    cert, _ = certificates.make("one")
    _, key = certificates.make("two")
    said = await says(secure.tls_url, {"cert": str(cert), "key": str(key)})
    assert "the key does not belong to the certificate" in said


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_logins(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD", "right")
    monkeypatch.setenv("BAD", "wrong")
    with Mosquitto(tmp_path, users={"anna": "right"}) as broker:
        for username, password, good in (
            ("anna", "${GOOD}", True),
            ("anna", "${BAD}", False),
            ("", None, False),
        ):
            source = Mqtt(
                url=broker.url,
                topics=["a"],
                version=version,
                username=username,
                password=password,
            )
            if good:
                await source.open(context("login"), None)
            else:
                with pytest.raises(Disconnected, match="check username and password") as caught:
                    await source.open(context("login"), None)
                assert "wrong" not in str(caught.value)
                assert "refused to connect" in str(caught.value)
            await source.close()
            await asyncio.sleep(0)
