"""The source against a modem on a pseudo-terminal that speaks the real protocol."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from edgestream.component import Payloads
from edgestream.errors import ConfigError, Disconnected, Fatal
from edgestream.testing.connectors import check_source, context, counts
from edgestream_connectors.lora_serial import LoraSerial
from tests.servers.modem import Esp32, Rylr


@pytest.fixture
def modem(tmp_path: Path) -> Iterator[Rylr]:
    with Rylr(tmp_path / "ttyUSB0") as device:
        assert isinstance(device, Rylr)
        yield device


@pytest.fixture
def esp32(tmp_path: Path) -> Iterator[Esp32]:
    with Esp32(tmp_path / "ttyACM0") as device:
        assert isinstance(device, Esp32)
        yield device


def lora(device: Rylr | Esp32, **options: object) -> LoraSerial:
    kind = "rylr" if isinstance(device, Rylr) else "lines"
    fast = {"patience": "200ms", "linger": "2ms"} | options
    return LoraSerial(str(device.path), kind, **fast)


async def take(source: LoraSerial, count: int) -> list[Payloads]:
    items: list[Payloads] = []
    async with asyncio.timeout(5), aclosing(source.batches()) as batches:
        async for item in batches:
            items.append(item)
            if sum(map(len, items)) >= count:
                break
    return items


async def test_the_kit_with_a_modem(modem: Rylr, tmp_path: Path) -> None:
    def feed(payloads: list[bytes]) -> None:
        for payload in payloads:
            modem.receive(payload)

    await check_source(
        lambda: lora(modem),
        feed,
        restart=modem.replug,
        unreachable=lambda: LoraSerial(str(tmp_path / "nothing")),
    )


async def test_the_kit_with_lines(esp32: Esp32, tmp_path: Path) -> None:
    def feed(payloads: list[bytes]) -> None:
        for payload in payloads:
            esp32.print(payload)

    await check_source(
        lambda: lora(esp32),
        feed,
        restart=esp32.replug,
        unreachable=lambda: LoraSerial(str(tmp_path / "nothing"), "lines"),
    )


async def test_frames_have_the_columns_of_the_radio(modem: Rylr) -> None:
    source = lora(modem, linger="50ms")
    await source.open(context(), None)
    modem.receive(b'{"t":21,"h":60}', address=3, rssi=-101, snr=-4, pieces=9)
    modem.receive(b"x\r\n+RCV=9,3,abc,-1,1\r\n", address=65535, rssi=-20, snr=12)
    (item,) = await take(source, 2)
    await source.close()
    assert list(item.payloads) == [b'{"t":21,"h":60}', b"x\r\n+RCV=9,3,abc,-1,1\r\n"]
    assert {name: values.tolist() for name, values in item.columns.items()} == {
        "address": [3, 65535],
        "rssi": [-101, -20],
        "snr": [-4.0, 12.0],
    }


async def test_settings_are_written_only_where_they_differ(modem: Rylr, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("EEDCAA90\n")
    source = lora(
        modem,
        address=120,
        network=18,
        band=868_500_000,
        parameter=[8, 7, 1, 12],
        password=f"${{file:{secret}}}",
        commands=["AT+CRFOP=10"],
    )
    await source.open(context(), None)
    await source.close()
    first, modem.commands = modem.commands, []
    await source.open(context(), None)
    await source.close()
    assert first == [
        "AT",
        "AT+ADDRESS?",
        "AT+ADDRESS=120",
        "AT+NETWORKID?",
        "AT+BAND?",
        "AT+BAND=868500000",
        "AT+PARAMETER?",
        "AT+PARAMETER=8,7,1,12",
        "AT+CPIN=EEDCAA90",
        "AT+CRFOP=10",
    ]
    questions = ["AT", "AT+ADDRESS?", "AT+NETWORKID?", "AT+BAND?", "AT+PARAMETER?"]
    assert modem.commands == [*questions, "AT+CPIN=EEDCAA90", "AT+CRFOP=10"]
    assert modem.tell("CPIN") == "+CPIN=eedcaa90"


async def test_after_a_replug_the_set_up_is_done_again(modem: Rylr) -> None:
    source = lora(modem, band=868_500_000)
    await source.open(context(), None)
    modem.replug()
    with pytest.raises(Disconnected, match="the modem is gone; waiting for it to come back"):
        await take(source, 1)
    await source.close()
    assert modem.memory["BAND"] == "915000000"
    await source.open(context(), None)
    await source.close()
    assert modem.memory["BAND"] == "868500000"


async def test_what_came_during_the_set_up_is_not_lost(modem: Rylr) -> None:
    modem.receive(b"early")
    source = lora(modem)
    await source.open(context(), None)
    assert [list(item.payloads) for item in await take(source, 1)] == [[b"early"]]
    await source.close()


async def test_half_a_command_of_a_former_owner_does_no_harm(modem: Rylr) -> None:
    modem.noisy = 2
    source = lora(modem)
    await source.open(context(), None)
    await source.close()
    assert modem.commands == ["AT", "AT", "AT"]


async def test_a_silent_modem_says_what_to_check(modem: Rylr) -> None:
    modem.deaf = True
    source = lora(modem, patience="20ms")
    with pytest.raises(Disconnected, match="no RYLR modem answers; check the port, the baud rate"):
        await source.open(context(), None)
    await source.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": 1}, r"refuses AT\+NETWORKID=1: unknown failure \(\+ERR=15\)"),
        ({"commands": ["AT+SING"]}, r"refuses AT\+SING: it does not know the command \(\+ERR=4\)"),
        (
            {"network": 5, "parameter": [9, 7, 1, 20]},
            r"PARAMETER=9,7,1,20: it does not allow this preamble \(\+ERR=18\)",
        ),
    ],
)
async def test_a_refused_setting_is_fatal_in_words(
    modem: Rylr, options: dict[str, object], words: str
) -> None:
    source = lora(modem, **options)
    with pytest.raises(Fatal, match=words) as caught:
        await source.open(context(), None)
    await source.close()
    assert caught.value.exit_code == 78


async def test_a_refused_password_is_never_shown(
    modem: Rylr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA", "0123456789ABCDEF0123456789ABCDEF")
    source = lora(modem, password="${LORA}")
    with pytest.raises(Fatal, match=r"refuses AT\+CPIN=\*\*\*") as caught:
        await source.open(context(), None)
    await source.close()
    assert "0123" not in str(caught.value) + repr(source)


async def test_noise_is_counted_and_costs_nothing_else(modem: Rylr) -> None:
    ctx = context()
    source = lora(modem)
    await source.open(ctx, None)
    modem.receive(b"one")
    modem.send(b"\x00\xff\xfe garbage \r\n")
    modem.send(b"+RCV=7,99,lies,-60,11\r\n")
    for i in range(30):
        modem.receive(b"frame %d" % i)
    items = await take(source, 31)
    await source.close()
    assert [p for item in items for p in item.payloads] == [
        b"one",
        *(b"frame %d" % i for i in range(30)),
    ]
    assert counts(ctx) == {"damaged": 2}


async def test_a_frame_that_stops_half_way_does_not_hold_the_next(
    modem: Rylr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgestream_connectors.lora_serial.source.STALL", 0.05)
    ctx = context()
    source = lora(modem)
    await source.open(ctx, None)
    modem.send(b"+RCV=7,200,half")
    modem.receive(b"whole")
    assert [list(item.payloads) for item in await take(source, 1)] == [[b"whole"]]
    await source.close()
    assert counts(ctx) == {"damaged": 1}


async def test_frames_whole_before_the_plug_is_pulled_are_handed_on(modem: Rylr) -> None:
    ctx = context()
    source = lora(modem, linger="30ms")
    await source.open(ctx, None)
    modem.send(b"+RCV=7,200,half")
    modem.receive(b"whole")
    items: list[bytes] = []

    async def pull() -> None:
        while not source._parser.begun:
            await asyncio.sleep(0.001)
        modem.unplug()

    async def listen() -> None:
        async for item in source.batches():
            items.extend(item.payloads)

    pulling = asyncio.create_task(pull())
    with pytest.raises(Disconnected):
        await listen()
    await pulling
    await source.close()
    assert items == [b"whole"]
    assert counts(ctx) == {"damaged": 1}


async def test_a_modem_that_restarts_by_itself_is_set_up_again(modem: Rylr) -> None:
    source = lora(modem, band=868_500_000)
    await source.open(context(), None)
    modem.receive(b"before")
    modem.send(b"+READY\r\n")
    modem.memory["BAND"] = "915000000"
    batches = source.batches()
    assert list((await anext(batches)).payloads) == [b"before"]
    with pytest.raises(Disconnected, match="has restarted; setting it up again"):
        await anext(batches)
    await source.close()
    await source.open(context(), None)
    await source.close()
    assert modem.memory["BAND"] == "868500000"


async def test_packets_broken_by_radio_are_counted(modem: Rylr) -> None:
    ctx = context()
    source = lora(modem)
    await source.open(ctx, None)
    modem.send(b"+ERR=12\r\n")
    modem.receive(b"whole")
    await take(source, 1)
    await source.close()
    assert counts(ctx) == {"damaged": 1}


async def test_a_path_that_vanishes_without_a_hang_up_is_noticed(
    esp32: Esp32, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgestream_connectors.lora_serial.source.IDLE", 0.02)
    source = lora(esp32)
    await source.open(context(), None)
    esp32.path.unlink()
    with pytest.raises(Disconnected, match="the modem is gone"):
        await take(source, 1)
    await source.close()


async def test_two_programs_do_not_share_a_port(modem: Rylr) -> None:
    first, second = lora(modem), lora(modem)
    await first.open(context(), None)
    with pytest.raises(Disconnected, match="is used by another program"):
        await second.open(context(), None)
    await second.close()
    await first.close()
    await second.open(context(), None)
    await second.close()


async def test_a_permission_names_the_group(modem: Rylr, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Disconnected, match="dialout"):
        await lora(modem).open(context(), None)


async def test_a_file_is_not_a_serial_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(Fatal, match="is not a serial port") as caught:
        await LoraSerial(str(path)).open(context(), None)
    assert caught.value.exit_code == 78


async def test_long_lines_are_dropped_and_counted(esp32: Esp32) -> None:
    ctx = context()
    source = lora(esp32, max_line="64B")
    await source.open(ctx, None)
    esp32.print(b"x" * 2000)
    esp32.print(b'{"t": 1}', pieces=4)
    items = await take(source, 1)
    await source.close()
    assert [(list(i.payloads), dict(i.columns)) for i in items] == [([b'{"t": 1}'], {})]
    assert counts(ctx) == {"damaged": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"baud": 9601}, "9601 is no speed of a serial port; did you mean '9600'"),
        ({"parameter": [9, 7, 1]}, "there are four numbers"),
        ({"commands": ["AT+X\r\nAT+FACTORY"]}, "one line that begins with AT"),
        ({"modem": "lines", "address": 3}, "nothing can be set on a modem that prints lines"),
        ({"password": "12345678"}, "a secret is not written here"),
        ({"address": 70_000}, "at most 65535"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_load(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        LoraSerial("/dev/ttyUSB0", **options)


def test_lines_add_no_columns() -> None:
    assert LoraSerial("/dev/x", "lines").schema().fields == {}
    assert set(LoraSerial("/dev/x").schema().fields) == set(LoraSerial.columns)
