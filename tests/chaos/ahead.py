"""Drives of one module beside each other: most of a drive is waiting, for windows and commits.

    @pytest.fixture(scope="module")
    def drives(request, tmp_path_factory):
        yield from ahead(request, "name", lambda name: drive(tmp_path_factory.mktemp(name)))

Each has a broker, a folder and processes of its own. Those whose tests are selected begin with the
first test, so many at a time that two processors are busy and not more: what is late because of
others is a fault of none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
AT_ONCE = 4


def ahead(
    request: pytest.FixtureRequest, parameter: str, drive: Callable[[Any], T]
) -> Iterator[Mapping[Any, Future[T]]]:
    """What comes of ``drive`` for each value of a parameter of the module's selected tests."""
    selected = [
        item.callspec.params[parameter]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and parameter in item.fixturenames
    ]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="drive") as pool:
        yield {value: pool.submit(drive, value) for value in selected}
        pool.shutdown(wait=False, cancel_futures=True)
