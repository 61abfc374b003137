"""What docs/codecs.md says becomes of a payload is what becomes of it."""

import json
import re
from pathlib import Path

import pytest

from edgestream.batch import to_python
from edgestream.codecs.json import Json

PAGE = Path(__file__).parents[2] / "docs" / "codecs.md"
BLOCK = re.search(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
LINES = [line.split(" → ") for line in BLOCK[1].splitlines()] if BLOCK else []


def test_there_are_rules():
    assert len(LINES) > 20


@pytest.mark.parametrize(("payloads", "becomes"), LINES, ids=[line[0].strip() for line in LINES])
def test_a_rule_is_kept(payloads, becomes):
    block = [payload.strip().encode() for payload in payloads.split(" then ")]
    decoded = Json().decode(block)
    last = len(block) - 1
    assert set(decoded.rejected) <= {last}
    if becomes.startswith("rejected: "):
        assert becomes.removeprefix("rejected: ") in decoded.rejected[last]
        return
    row = {name: to_python(column)[-1] for name, column in decoded.columns.items()}
    assert json.dumps(row) == json.dumps(json.loads(becomes))
