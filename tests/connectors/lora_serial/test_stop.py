"""What a stop of the pipeline does to frames that were read but not yet handed on."""

import asyncio
import json
from pathlib import Path

import pytest

from edgestream.clock import SystemClock
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec
from edgestream_connectors.lora_serial import LoraSerial
from edgestream_connectors.lora_serial.port import Port
from tests.runtime.parts import Memory, Table
from tests.servers.modem import Esp32


async def test_a_stop_hands_on_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []
    read = Port.read

    def note(port: Port) -> bytes:
        taken.append(read(port))
        return taken[-1]

    monkeypatch.setattr(Port, "read", note)
    table = Table()
    with Esp32(tmp_path / "ttyACM0") as device:
        assert isinstance(device, Esp32)
        source = LoraSerial(str(device.path), "lines", linger="400ms")
        spec = PipelineSpec(
            "radio",
            {"source": SourceSpec(source)},
            {},
            {"sink": SinkSpec(("source",), Memory(table))},
        )
        running = Running(spec, tmp_path, SystemClock())
        task = asyncio.create_task(running.run(grace=5))
        async with asyncio.timeout(20):
            while (
                running.state != "running" or running.readers["source"].status.state != "connected"
            ):
                await asyncio.sleep(0.01)
            device.print(json.dumps({"n": 1}).encode())
            while not any(taken):
                await asyncio.sleep(0.001)
            running.stop()  # in the middle of the linger
            device.print(json.dumps({"n": 2}).encode())
            await task
    assert [row["n"] for row in table.rows] == [1, 2]
