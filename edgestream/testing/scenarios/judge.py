"""Playing a test and saying how what came differs from what was expected."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgestream.config.values import nanos
from edgestream.errors import ConfigError, EdgestreamError
from edgestream.scenario import Letter, Row, Scenario
from edgestream.spec import PipelineSpec
from edgestream.store.letters import DeadLetter, readable
from edgestream.testing.scenarios.cells import Cells
from edgestream.testing.scenarios.check import named
from edgestream.testing.scenarios.compare import Difference, compare, matched
from edgestream.testing.scenarios.give import SCALES
from edgestream.testing.scenarios.play import Played, play

DEAD_LETTERS = "dead letters"
DROPPED = "dropped rows"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test went; ``error`` is what a step raised."""

    scenario: Scenario
    cells: Cells
    seconds: float
    differences: tuple[Difference, ...] = ()
    error: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether all was as expected."""
        return not self.differences and not self.error


def run_scenario(spec: PipelineSpec, scenario: Scenario, allowed: Sequence[str] = ()) -> Outcome:
    """Play one test of a pipeline; ``allowed`` names packages whose functions ``use:`` may name.

    Raises `ConfigError` where the pipeline cannot be built, or where the test does not fit it.
    """
    started = time.perf_counter()
    units = {
        source.time.field: SCALES[source.time.unit or "s"]
        for source in spec.sources.values()
        if source.time is not None and source.time.unit != "iso8601"
    }
    cells = Cells(scenario.began, units)
    try:
        played = play(spec, scenario, allowed)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - what a step raises fails this test, not the others
        told = str(error)
        if not isinstance(error, EdgestreamError):
            told = "".join(traceback.format_exception(error))
        return Outcome(scenario, cells, time.perf_counter() - started, error=told)
    found = tuple(_differences(spec, scenario, played, cells))
    seconds = time.perf_counter() - started
    return Outcome(scenario, cells, seconds, found, hint=_hint(scenario, found))


def _differences(
    spec: PipelineSpec, scenario: Scenario, played: Played, cells: Cells
) -> Iterator[Difference]:
    for name, rows in scenario.expect.sinks.items():
        sink = named(name, spec.sinks, "sink", scenario.expect.path(name))
        got, keys = played.rows[sink], played.keys[sink]
        found = compare(sink, rows, got, cells, keys, in_order=scenario.in_order)
        if found is not None:
            yield found
    letters = _letters(scenario, played.letters)
    if letters is not None:
        yield letters
    if sum(played.dropped.values()) != scenario.dropped:
        told = ", ".join(f"{rows} of {sink}" for sink, rows in played.dropped.items() if rows)
        yield Difference(
            DROPPED, 0, note=f"{scenario.dropped} expected, {told or 'none'} were dropped"
        )


def _letters(scenario: Scenario, got: Sequence[DeadLetter]) -> Difference | None:
    expected = scenario.dead_letters
    if expected.letters is None:
        if len(got) == expected.count:
            return None
        note = f"{expected.count} expected, {len(got)} came"
        return Difference(DEAD_LETTERS, 0, unexpected=tuple(map(_row, got)), note=note)
    found = matched(expected.letters, got, _is)
    if len(found) == len(expected.letters) == len(got):
        return None
    missing = [
        {"source": letter.source or None, "reason": letter.reason, "payload": letter.payload}
        for index, letter in enumerate(expected.letters)
        if index not in found
    ]
    others = [_row(letter) for index, letter in enumerate(got) if index not in found.values()]
    return Difference(DEAD_LETTERS, len(found), missing=tuple(missing), unexpected=tuple(others))


def _is(expected: Letter, got: DeadLetter) -> bool:
    return (
        expected.reason in got.reason
        and expected.source in ("", got.step)
        and expected.payload in (None, readable(got))
    )


def _row(letter: DeadLetter) -> Row:
    return {"source": letter.step, "reason": letter.reason, "payload": readable(letter)}


def _hint(scenario: Scenario, found: Sequence[Difference]) -> str:
    """What a test whose rows did not come may lack."""
    missing = any(difference.missing for difference in found if difference.place != DEAD_LETTERS)
    if not missing or scenario.end or nanos(scenario.wait):
        return ""
    return f"the clock stopped at {scenario.lasts}; with wait: 1m silence closes what is open"
