"""Refused calls and rotten bytes, in short; the long form is ``python -m tests.chaos.rot``."""

from tests.chaos.rot import damages, refuse


def test_a_refused_call_loses_nothing_that_was_acknowledged() -> None:
    reached = 0
    for number in range(1, 400, 13):
        wrong = refuse(number)
        if wrong is None:
            break
        reached += 1
        assert wrong == set(), number
    assert reached > 10


def test_damage_in_the_state_file_is_never_silent() -> None:
    found = damages(150)
    wrong = [what for what in found if what.startswith("file") and "SILENT" in what]
    assert wrong == []
    assert sum(count for what, count in found.items() if "refused" in what) > 50
