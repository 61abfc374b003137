"""A LoRa modem through kills, pulled plugs and noise; ``python -m tests.chaos.lora`` is longer."""

from pathlib import Path

import pytest

from tests.chaos.lora import suffer


@pytest.mark.timeout(300)
def test_packets_by_radio_are_counted_once_through_kills_plugs_and_noise(tmp_path: Path) -> None:
    report = suffer(tmp_path, 250)
    assert report.faults == 5
    assert report.clean, report
