"""The short form of fuzzing: the kept inputs, and some changed ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.__main__ import Campaign
from tests.fuzz.change import LONGEST, changed
from tests.fuzz.targets import TARGETS, Target

SOME = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    for data in [*TARGETS[name].seeds, *corpus.kept(name)]:
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs(name: str) -> None:
    target = TARGETS[name]
    pool = [*target.seeds, *corpus.kept(name)]
    pieces = st.one_of(st.binary(max_size=12), st.sampled_from([*target.words, *target.seeds]))

    @SOME
    @given(
        st.lists(pieces, max_size=8).map(b"".join) | st.integers(0, 2**32).map(_from(pool, target))
    )
    def run(data: bytes) -> None:
        target.run(data)

    run()


def _from(pool: list[bytes], target: Target):  # type: ignore[no-untyped-def]
    return lambda seed: changed(random.Random(seed), pool, target.words)


def test_every_folder_of_the_corpus_is_replayed() -> None:
    assert {path.name for path in corpus.FOLDER.iterdir()} <= set(TARGETS)


def test_a_broken_rule_is_found_and_its_smallest_input_kept() -> None:
    """The fuzzer can fail: a reader that stumbles over one byte is caught."""

    def run(data: bytes) -> str:
        if b"\xff" in data:
            raise IndexError
        return str(len(data) % 3)

    campaign = Campaign("none", Target(run, [b"honest"]), seed=1)
    campaign.spend(0.2)
    (data,) = campaign.crashes.values()
    assert b"\xff" in data
    assert campaign.runs > 10
    assert campaign.kinds > 1


def test_changes_are_bounded_and_the_same_for_the_same_seed() -> None:
    one, two = (
        [changed(random.Random(seed), [b"abc" * 900], [b"word"]) for seed in range(200)]
        for _ in range(2)
    )
    assert one == two
    assert max(map(len, one)) <= LONGEST
    assert len(set(one)) > 150
