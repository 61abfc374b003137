"""Every query of the standard suites gives the right answer, and its pipeline file tests itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.suites import golden
from benchmarks.suites.__main__ import SUITES
from benchmarks.suites.case import Missing, Query, Rows, Suite
from benchmarks.suites.compare import differences
from benchmarks.suites.play import ALLOWED, load, play
from edgestream.scenario import Scenario
from edgestream.spec import PipelineSpec
from edgestream.testing.scenarios import run_scenario
from edgestream.testing.scenarios.show import lines

DATA = Path(__file__).parent / "data"
QUERIES = [(suite, query) for suite in SUITES.values() for query in suite.queries]
GOLDEN = [(suite, query) for suite, query in QUERIES if suite.name == "nexmark"]


def named(pairs: list[tuple[Suite, Query]]) -> list[object]:
    return [pytest.param(suite, query, id=f"{suite.name}-{query.name}") for suite, query in pairs]


def in_files() -> list[object]:
    """All tests in the pipeline files."""
    found: list[object] = []
    for suite, query in QUERIES:
        if suite.pipeline(query).suffix == ".py":
            continue
        spec = load(suite, query, Path())
        assert spec.tests, f"{suite.pipeline(query)} has no tests"
        found += [pytest.param(spec, test, id=f"{spec.name}: {test.name}") for test in spec.tests]
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Suite], Path]:
    """The folder of a suite with its small data in it."""
    made: dict[str, Path] = {}

    def folder(suite: Suite) -> Path:
        if suite.name not in made:
            made[suite.name] = tmp_path_factory.mktemp(suite.name)
            suite.generate(suite.small, made[suite.name])
        return made[suite.name]

    return folder


@pytest.fixture(scope="module")
def answers(data: Callable[[Suite], Path]) -> Callable[[Suite], Mapping[str, Rows]]:
    """The answers of a suite, recomputed."""
    made: dict[str, Mapping[str, Rows]] = {}

    def recomputed(suite: Suite) -> Mapping[str, Rows]:
        if suite.name not in made:
            names = [query.name for query in suite.queries]
            try:
                made[suite.name] = suite.answers(names, data(suite))
            except Missing as why:
                pytest.skip(str(why))
        return made[suite.name]

    return recomputed


@pytest.mark.parametrize(("suite", "query"), named(QUERIES))
def test_the_answer_is_right(
    suite: Suite,
    query: Query,
    data: Callable[[Suite], Path],
    answers: Callable[[Suite], Mapping[str, Rows]],
) -> None:
    if (suite, query) in GOLDEN:
        expected = golden.read(DATA / suite.name / f"{query.name}.json")
    else:
        expected = answers(suite)[query.name]
    assert expected, "an answer without rows shows nothing"
    assert differences(query, expected, play(suite, query, data(suite)).rows) == []


@pytest.mark.parametrize(("suite", "query"), named(GOLDEN))
def test_the_kept_answer_is_what_a_database_says(
    suite: Suite, query: Query, answers: Callable[[Suite], Mapping[str, Rows]]
) -> None:
    kept = golden.read(DATA / suite.name / f"{query.name}.json")
    plain = Query(query.name, query.title, query.exact, query.close)
    assert differences(plain, answers(suite)[query.name], kept) == []


@pytest.mark.parametrize(("spec", "test"), in_files())
def test_the_pipeline_tests_itself(spec: PipelineSpec, test: Scenario) -> None:
    outcome = run_scenario(spec, test, ALLOWED)
    assert outcome.ok, "\n".join(lines(outcome))


def test_every_pipeline_belongs_to_a_query() -> None:
    for suite in SUITES.values():
        files = {path.stem for path in suite.folder.glob("*.yaml")}
        assert files <= {query.name for query in suite.queries}
        assert all(suite.pipeline(query).exists() for query in suite.queries)
