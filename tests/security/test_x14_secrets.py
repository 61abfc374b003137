"""X14: no secret is found in anything a worker says, serves, stores or shows of itself.

Twelve canaries go in by every road there is (variables, files, defaults, literals, the token);
servers refuse them or take them, pipelines fail and crash; then all that came out is searched.
"""

from __future__ import annotations

import copy
import http.client
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edgestream import Disconnected, Mqtt, Postgres, Redis
from edgestream.config.values import Secret
from edgestream.testing.connectors import context
from tests.cli.run import Cli
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import Postgres as PostgresServer
from tests.servers.redis import Redis as RedisServer
from tests.servers.worker import Worker

NAMES = (
    *("MQTT_GOOD", "MQTT_BAD", "MQTT_SINK", "KEY_PASSWORD", "REDIS", "POSTGRES"),
    *("IN_A_FILE", "TOKEN", "A_NUMBER", "IN_A_CRASH", "A_DEFAULT", "LITERAL"),
)
CANARIES = {
    name: f"canary-{number:02}-{name.lower().replace('_', '')}" for number, name in enumerate(NAMES)
}
TOKEN = f"{CANARIES['TOKEN']}-long-enough"

GOOD = """\
name: good
sources:
  source:
    mqtt: {{url: "{mqtt}", topics: [in/#], username: anna, password: "${{MQTT_GOOD}}"}}
    time: {{field: ts, unit: s}}
sinks:
  out:
    from: source
    mqtt: {{url: "{mqtt}", topic: "out/{{device}}", username: bert, password: "${{file:{file}}}"}}
  redis:
    from: source
    redis: {{url: "{redis}", hash: "s:{{device}}", password: "${{REDIS}}"}}
  postgres:
    from: source
    postgres: {{url: "{postgres}", table: t, password: "${{POSTGRES}}"}}
  refused:
    from: source
    mqtt: {{url: "{mqtt}", topic: out, username: bert, password: "${{MQTT_SINK}}"}}
"""
REFUSED = """\
name: refused
source:
  mqtt:
    url: "{mqtt}"
    topics: [in/#]
    username: anna
    password: "${{MQTT_BAD}}"
sink:
  stdout: json
"""
LOCKED = """\
name: locked
source:
  mqtt:
    url: "mqtts://localhost:{tls}"
    topics: [in/#]
    tls: {{cert: "{key}", key: "{key}", key_password: "${{KEY_PASSWORD}}"}}
sink:
  stdout: json
"""
CRASHES = """\
name: crashes
source:
  generate: {devices: 1, rate: 10}
steps:
  - use: crashing:crash
sink:
  stdout: json
"""
CRASHING = """\
import os

import edgestream as es


@es.operator
def crash(batch: es.Batch) -> es.Batch:
    secret = os.environ["IN_A_CRASH"]
    return batch.no_such_thing(secret)
"""
MISTAKES = f"""\
name: mistakes
source:
  mqtt:
    url: "mqtt://localhost"
    topics: [a]
    qos: "${{A_NUMBER}}"
    keep_alive: "${{A_NUMBER}}"
    receive_maximum: "${{A_NUMBER}}"
    username: a
    password: "${{NOT_SET:-{CANARIES["A_DEFAULT"]}}}"
sink:
  redis:
    url: "redis://:{CANARIES["LITERAL"]}@localhost"
    hash: a
    password: {CANARIES["LITERAL"]}
"""


class Place:
    """The pipelines, their servers, and everything that came out."""

    def __init__(self, folder: Path, mqtt: Mosquitto, redis: RedisServer, sql: PostgresServer):
        self.folder = folder
        self.mqtt = mqtt
        self.pipelines = folder / "pipelines"
        self.pipelines.mkdir()
        (folder / "secret").write_text(CANARIES["IN_A_FILE"] + "\n")
        (folder / "secret").chmod(0o600)
        (folder / "crashing.py").write_text(CRASHING)
        key = folder / "key.pem"
        _make_locked_key(key)
        facts = {
            "mqtt": mqtt.url,
            "redis": redis.url,
            "postgres": sql.url(),
            "file": folder / "secret",
            "tls": mqtt.port,
            "key": key,
        }
        for name, text in (("good", GOOD), ("refused", REFUSED), ("locked", LOCKED)):
            (self.pipelines / f"{name}.yaml").write_text(text.format(**facts))
        (self.pipelines / "crashes.yaml").write_text(CRASHES)
        (folder / "mistakes.yaml").write_text(MISTAKES)
        self.env = {**os.environ, **CANARIES, "EDGESTREAM_TOKEN": TOKEN}
        self.env |= {"PYTHONPATH": str(folder), "EDGESTREAM_ALLOW_MODULES": "crashing"}
        for inside in ("IN_A_FILE", "TOKEN", "A_DEFAULT", "LITERAL"):
            del self.env[inside]


def _make_locked_key(path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", path, "-out", path]
    command += ["-subj", "/CN=a", "-passout", "pass:another"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("secrets")
    users = {"anna": CANARIES["MQTT_GOOD"], "bert": CANARIES["IN_A_FILE"]}
    redis = RedisServer("--requirepass", "another").start()
    sql = PostgresServer("another").start()
    try:
        with Mosquitto(folder / "mosquitto", users=users) as mqtt:
            yield Place(folder, mqtt, redis, sql)
    finally:
        redis.remove()
        sql.remove()


def found_in(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return [name for name, value in CANARIES.items() if value.encode() in raw]


def ask(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    text = f"{answer.status} {answer.headers} {answer.read().decode()}"
    connection.close()
    return text


@pytest.mark.server
@pytest.mark.timeout(180)
def test_a_worker_gives_no_secret_away(place: Place) -> None:
    worker = Worker(
        place.folder, place.pipelines, "--log-level", "debug", "--grace", "1", env=place.env
    )
    said: dict[str, str | bytes] = {}
    try:
        worker.start(lambda: "edgestream.good: source mqtt: connected" in worker.log.read_text())
        publish(place.mqtt)
        deadline = time.monotonic() + 30
        expected = ("refused to connect", "wants a password", "wrong user or password", "tls.cert")
        rows = "/api/v1/pipelines/good/rows?sink=out&after=0"
        while not all(
            words in worker.log.read_text() for words in (*expected, "no_such_thing")
        ) or "canary-free" not in ask(worker.port, rows):
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.2)
        for path in ("/", "/livez", "/readyz", "/metrics", "/api/v1/pipelines", "/config"):
            said[path] = ask(worker.port, path)
        said["/rows"] = ask(worker.port, rows)
        said["no token"] = worker.get("/readyz")[1] + worker.get("/metrics")[1]
        said["command line"] = Path(f"/proc/{worker.process.pid}/cmdline").read_bytes()
        limits = Path(f"/proc/{worker.process.pid}/limits").read_text()
        assert "Max core file size        0 " in limits
        for file in (place.folder / "state").iterdir():
            said[file.name] = file.read_bytes()
    finally:
        worker.process.terminate()
    for file in (place.folder / "state").iterdir():
        said[f"{file.name} at the end"] = file.read_bytes()
    said["log"] = worker.log.read_text()
    assert {name: hits for name, text in said.items() if (hits := found_in(text))} == {}
    assert b"dead letter of nobody" in b"".join(t for t in said.values() if isinstance(t, bytes))


def publish(broker: Mosquitto) -> None:
    """Rows, and a payload that becomes a dead letter."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("anna", CANARIES["MQTT_GOOD"])
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    payloads = [f'{{"ts": {1_700_000_000 + n}, "device": "canary-free"}}' for n in range(20)]
    for payload in [*payloads, "dead letter of nobody"]:
        client.publish("in/a", payload, 1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


@pytest.mark.server
def test_commands_give_no_secret_away(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", place.env)
    monkeypatch.syspath_prepend(str(place.folder))
    cli = Cli(capsys)

    def command(*words: str | Path) -> str:
        done = cli(*words)
        return done.out + done.err

    mistakes = place.folder / "mistakes.yaml"
    said = {
        "mistakes": command("check", mistakes),
        "mistakes as json": command("check", mistakes, "--output", "json"),
        "worker": command("worker", mistakes),
        "check": command("check", place.pipelines),
        "plan": command("plan", place.pipelines / "good.yaml"),
        "plan as json": command("plan", place.pipelines / "good.yaml", "--output", "json"),
        "test": command("test", place.pipelines / "good.yaml"),
        "doctor": command("doctor"),
        "components": command("components", "mqtt"),
    }
    for words in ("qos", "keep_alive", "receive_maximum", "a secret is not written here"):
        assert words in said["mistakes"]
    assert "4 pipelines without problems" in said["check"]
    assert "good" in said["plan"]
    assert {name: hits for name, text in said.items() if (hits := found_in(text))} == {}


def test_components_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", CANARIES["LITERAL"])
    url = "postgresql://localhost/x"
    made = [
        Mqtt(url="mqtt://localhost", topics=["a"], username="a", password="${PASSWORD}"),
        Redis(url="redis://localhost", hash="a", password="${PASSWORD}"),
        Postgres(url=url, table="t", password="${PASSWORD}"),
    ]
    for one in [*made, *(copy.deepcopy(each) for each in made)]:
        shown = f"{one!r} {one} {vars(one) if hasattr(one, '__dict__') else ''}"
        assert found_in(shown) == []
        assert "***" in shown


# Rotation, and files that others may read.


def test_a_rotated_file_counts_from_the_next_use(tmp_path: Path) -> None:
    """As Kubernetes rotates: the name is a link to a folder that is replaced in one step."""
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "password").write_text(f"secret-{number}\n")
        (tmp_path / f"v{number}" / "password").chmod(0o400)
    current = tmp_path / "current"
    current.symlink_to("v1")
    sink = Redis(url="redis://x", hash="a", password=f"${{file:{current}/password}}")
    assert isinstance(sink.password, Secret)
    assert sink.password.reveal() == "secret-1"
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(current)
    assert sink.password.reveal() == "secret-2"


def test_a_file_that_is_gone_leaves_the_value_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "password"
    path.write_text("pearl")
    path.chmod(0o600)
    secret = Secret.file(str(path))
    path.unlink()
    with caplog.at_level(logging.WARNING, "edgestream"):
        assert secret.reveal() == "pearl"
    (record,) = caplog.records
    assert "the value read before is used" in record.message
    assert "pearl" not in record.message


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o440, 0), (0o644, 1), (0o602, 1)])
def test_a_file_open_to_all_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: int
) -> None:
    path = tmp_path / "password"
    path.write_text("pearl")
    path.chmod(mode)
    with caplog.at_level(logging.WARNING, "edgestream"):
        Redis(url="redis://x", hash="a", password=f"${{file:{path}}}")
    assert len(caplog.records) == warned
    for record in caplog.records:
        assert f"{mode:04o}" in record.message
        assert "chmod 600 it" in record.message
        assert "pearl" not in record.message


@pytest.mark.server
async def test_a_password_is_rotated_without_a_restart(tmp_path: Path) -> None:
    """The source that was refused connects once the file holds the right password."""
    path = tmp_path / "password"
    path.write_text("old")
    path.chmod(0o600)
    with Mosquitto(tmp_path / "mosquitto", users={"anna": "new"}) as broker:
        password = f"${{file:{path}}}"
        source = Mqtt(url=broker.url, topics=["a"], username="anna", password=password)
        with pytest.raises(Disconnected, match="refused to connect"):
            await source.open(context("rotated"), None)
        await source.close()
        path.write_text("new")
        await source.open(context("rotated"), None)
        await source.close()
