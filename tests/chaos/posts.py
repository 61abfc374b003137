"""Senders that POST scans until each is answered, and what the files must then hold.

Request i is the same everywhere: its rows, its scanner and the way it is written follow from its
number. A sender that got no answer sends again with the same key, after a pause, for ever; now
and then one sends again what was answered.
"""

from __future__ import annotations

import csv
import gzip
import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SENDERS = 4
KNOWN = 6
SCANNERS = 8
"""Scanners s0, s1 …; the table knows the first `KNOWN`."""
POISON = 20
"""One request in so many has a row whose time is none."""
REPEATED = 25
"""One request in so many is sent once more after its answer."""
AWAY = -1
START = 1_795_514_400_000
Row = dict[str, Any]


def rows_of(number: int) -> list[Row]:
    """The good rows of a request."""
    scanner, stamp = f"s{number % SCANNERS}", START + number
    return [
        {"parcel": f"{number}-{row}", "scanner": scanner, "ts": stamp, "weight": number % 90 + 0.5}
        for row in range(1 + number % 3)
    ]


def poisoned(number: int) -> bool:
    return number % POISON == POISON - 1


def request(number: int) -> tuple[str, bytes, dict[str, str]]:
    """The path, body and headers: NDJSON, an array, gzip, or a CloudEvent of one row."""
    rows = [{k: v for k, v in row.items() if k != "scanner"} for row in rows_of(number)]
    if poisoned(number):
        rows.append({"parcel": f"{number}-bad", "ts": "yesterday", "weight": 1})
    head = {"Idempotency-Key": f"scan {number}"}
    way = number % 4
    if way == 0:
        head = {"ce-id": str(number), "ce-source": "/gates", "ce-specversion": "1.0"}
    if len(rows) > 1 and way == 1:
        body, kind = json.dumps(rows).encode(), "application/json"
    else:
        body = b"\n".join(json.dumps(row).encode() for row in rows)
        kind = "application/x-ndjson"
    if way == 2:
        body = gzip.compress(body, 1)
        head["Content-Encoding"] = "gzip"
    return f"/scans/s{number % SCANNERS}", body, {**head, "Content-Type": kind}


@dataclass
class Posts:
    """Threads that take the next number each, until `finish`."""

    port: int
    pause: float = 0.005
    """Seconds between the requests of a sender."""
    acknowledged: set[int] = field(default_factory=set)
    statuses: dict[int, int] = field(default_factory=dict)
    """How often each status was the answer; 0: none, and `AWAY`: nobody took the request."""
    first_since: float = 0
    """When (monotonic) the first answer came after `watch`; 0 is not yet."""

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._finishing = threading.Event()
        self._lock = threading.Lock()
        self._watched = 0.0
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def watch(self) -> None:
        """Note in `first_since` the next answer to a request that is sent from now on.

        An answer of a worker that is dead by now may still be on its way.
        """
        with self._lock:
            self.first_since, self._watched = 0, time.monotonic()

    def finish(self, seconds: float = 60) -> None:
        """Every request that was begun gets its answer; then nothing more is sent."""
        self._finishing.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"a request was never answered: {self.statuses}"

    def _send(self) -> None:
        client = _Client(self.port)
        while not self._finishing.is_set():
            with self._lock:
                number = next(self._numbers)
            began = time.monotonic()
            while (status := client.post(*request(number))) != 202:
                self._count(status)
                time.sleep(0.02)
                began = time.monotonic()
            self._count(status, number, began)
            if number % REPEATED == 0:
                self._count(client.post(*request(number)))
            time.sleep(self.pause)
        client.close()

    def _count(self, status: int, number: int | None = None, began: float = 0) -> None:
        with self._lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if number is not None:
                self.acknowledged.add(number)
                if not self.first_since and began >= self._watched:
                    self.first_since = time.monotonic()


class _Client:
    """One connection at a time, kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status; 0 where no answer came, `AWAY` where there was no connection."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            self._connection.request("POST", path, body, dict(headers))
            answer = self._connection.getresponse()
            answer.read()
        except ConnectionRefusedError:
            self.close()
            return AWAY
        except (OSError, http.client.HTTPException):
            self.close()
            return 0
        return answer.status

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def lines(path: Path) -> Iterator[Row]:
    """The rows of a file, whole to its end; raises where a line is torn."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert data.endswith(b"\n") or not data, f"{path} ends within a line"
    texts = data.decode().splitlines()
    if ".csv" in path.name:
        yield from csv.DictReader(texts)
    else:
        yield from map(json.loads, texts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Rows that were answered and are missing, rows that are there twice, rows that are wrong."""

    rows: int
    lost: int
    duplicated: int
    wrong: int

    @property
    def clean(self) -> bool:
        return self.lost == self.duplicated == self.wrong == 0


def judge(table: Path, files: Iterable[Path], acknowledged: set[int]) -> Verdict:
    """Compare the files with the requests that were answered, and with the table itself."""
    with table.open() as file:
        places = {row.pop("scanner"): row for row in csv.DictReader(file)}
    truth: dict[str, tuple[str, ...]] = {}
    for number in acknowledged:
        for row in rows_of(number):
            truth[row["parcel"]] = _should(row, places.get(row["scanner"]))
    found: dict[str, tuple[str, ...]] = {}
    duplicated = 0
    for row in itertools.chain.from_iterable(map(lines, files)):
        duplicated += row["parcel"] in found
        found[row["parcel"]] = _has(row)
    lost = len(truth.keys() - found.keys())
    wrong = sum(truth.get(parcel) != has for parcel, has in found.items())
    return Verdict(len(truth), lost, duplicated, wrong)


def _should(row: Row, place: Mapping[str, str] | None) -> tuple[str, ...]:
    if place is None:
        return row["scanner"], _ts(row["ts"]), "no row"
    lane = f"{float(place['lane']):g}" if place["lane"] else ""
    return row["scanner"], _ts(row["ts"]), str(row["weight"]), place["gate"], place["zone"], lane


def _has(row: Row) -> tuple[str, ...]:
    """The row as either format gives it; what is missing is empty."""
    if "reason" in row:
        return row["scanner"], _ts(row["ts"]), "no row"
    lane = "" if row["lane"] in (None, "") else f"{float(row['lane']):g}"
    weight = str(float(row["weight"]))
    return row["scanner"], _ts(row["ts"]), weight, row["gate"], row["zone"], lane


def _ts(value: object) -> str:
    return f"{float(str(value)):.0f}"
