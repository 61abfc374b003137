from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.mosquitto import Certificates, Mosquitto


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker without limits that all tests share: each uses topics of its own."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as started:
        yield started


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A word of this test's own, for topics and client ids."""
    return f"{tmp_path.name}".replace("_", "-")
