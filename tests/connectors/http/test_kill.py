"""The worker is killed under requests; senders send again what was not answered, with its key.

With ``durability: process``, which must be enough where only the process dies.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.process import accepts, free_port
from tests.servers.worker import Worker

PIPELINE = """
name: killed
durability: process
source:
  http: {{listen: "127.0.0.1:{port}"}}
sink:
  sqlite: {{path: "{path}", table: rows, mode: append}}
"""
SENDERS, EACH, KILLS = 3, 50, 2


class Sender(threading.Thread):
    """Numbered requests of three rows, each sent until it is answered 202."""

    def __init__(self, port: int, first: int) -> None:
        super().__init__(daemon=True)
        self.port, self.first, self.repeated = port, first, 0

    def run(self) -> None:
        for number in range(self.first, self.first + EACH):
            while not self.sent(number):
                self.repeated += 1
                time.sleep(0.02)

    def sent(self, number: int) -> bool:
        body = b"\n".join(json.dumps({"n": number, "row": row}).encode() for row in range(3))
        head = {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"request {number}"}
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request("POST", "/", body, head)
            answer = client.getresponse()
            answer.read()
            return answer.status == 202
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()


@pytest.mark.server
def test_nothing_answered_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    port, path, pipeline = free_port(), tmp_path / "out.db", tmp_path / "killed.yaml"
    pipeline.write_text(PIPELINE.format(port=port, path=path))
    worker = Worker(tmp_path, pipeline)
    worker.start()
    senders = [Sender(port, index * EACH) for index in range(SENDERS)]
    try:
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            time.sleep(0.2)
            worker.process.kill()
            worker.start(lambda: accepts(port))
        for sender in senders:
            sender.join(60)
            assert not sender.is_alive()
        assert worker.process.terminate(30) == 0
    finally:
        worker.process.kill()
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT n, row, count(*) FROM rows GROUP BY n, row").fetchall()
    assert {(n, row) for n, row, _ in found} == {
        (n, row) for n in range(SENDERS * EACH) for row in range(3)
    }
    assert [each for each in found if each[2] != 1] == []
    assert sum(sender.repeated for sender in senders) > 0, "no kill met a request"
