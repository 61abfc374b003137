from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from edgestream.component import Codec, component
from edgestream.config.convert import annotation, build, convert, convert_fields
from edgestream.config.fields import facts, option, options, required, state, written
from edgestream.config.values import Bytes, Duration, Nanos, Secret, Size, Template
from edgestream.errors import ConfigError, Problem


class Upper:
    """A value class that reads itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def from_config(cls, value: Any) -> Upper:
        if not isinstance(value, str):
            raise ValueError("expected text for Upper")
        if value == "bad":
            raise ConfigError(Problem("bad text", column=3))
        return cls(value.upper())


@dataclass
class Limits:
    """A group of settings."""

    high: float = option(help="the highest value", maximum=10)
    low: float = option(0.0, help="the lowest", minimum=-10)
    with_: str = option("", help="a word of Python")


@dataclass
class Everything:
    text: str = option("x", help="")
    whole: int = option(1, help="", minimum=0, maximum=10)
    number: float = option(1.0, help="")
    flag: bool = option(False, help="")
    mode: Literal["a", "b"] = option("a", help="")
    qos: Literal[0, 1, 2] = option(0, help="")
    maybe: int | None = option(None, help="")
    names: Sequence[str] = option((), help="")
    sizes: Mapping[str, int] = option(factory=dict, help="")
    every: Duration = option("1s", help="", minimum=1_000_000)
    room: Size = option("1KiB", help="", maximum=1024)
    password: Secret | str | None = option(None, help="")
    limits: Limits | None = option(None, help="")
    upper: Upper | str = option("u", help="")
    either: Sequence[str] | Mapping[str, Literal["x", "y"]] | None = option(None, help="")
    free: Any = option(None, help="")
    running: list[int] = state(list)

    def __post_init__(self) -> None:
        convert_fields(self)


def wrong(**given) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Everything(**given)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("field", "given", "held"),
    [
        ("text", "y", "y"),
        ("whole", 10, 10),
        ("number", 2, 2.0),
        ("number", 2.5, 2.5),
        ("flag", True, True),
        ("mode", "b", "b"),
        ("qos", 2, 2),
        ("maybe", None, None),
        ("maybe", 3, 3),
        ("names", "one", ("one",)),
        ("names", ["one", "two"], ("one", "two")),
        ("names", [], ()),
        ("sizes", {"a": 1}, {"a": 1}),
        ("every", "250ms", Nanos(250_000_000)),
        ("every", Nanos(1_000_000), Nanos(1_000_000)),
        ("room", "1KiB", Bytes(1024)),
        ("room", "0", Bytes(0)),
        ("password", None, None),
        ("either", "one", ("one",)),
        ("either", {"a": "x"}, {"a": "x"}),
        ("free", {"a": [1, None]}, {"a": [1, None]}),
    ],
)
def test_values_become_what_the_annotation_says(field, given, held):
    found = getattr(Everything(**{field: given}), field)
    assert found == held
    assert type(found) is type(held)


def test_defaults_are_converted_too():
    made = Everything()
    assert made.every == Nanos(1_000_000_000)
    assert isinstance(made.room, Bytes)
    assert made.upper.text == "U"
    assert made.running == []


@pytest.mark.parametrize(
    ("field", "given", "told"),
    [
        ("text", 5, "text: expected text, got 5; write it in quotes"),
        ("text", True, "text: expected text, got true"),
        ("text", None, "text: expected text, got nothing"),
        ("text", ["a"], "text: expected text, got a list"),
        ("whole", "5", "whole: expected a whole number, got '5'"),
        ("whole", 5.0, "whole: expected a whole number, got 5.0"),
        ("whole", True, "whole: expected a whole number, got true"),
        ("whole", -1, "whole: must be at least 0, got -1"),
        ("whole", 11, "whole: must be at most 10, got 11"),
        ("number", "1.5", "number: expected a number, got '1.5'"),
        ("number", float("nan"), "number: expected a finite number"),
        ("number", float("inf"), "number: expected a finite number"),
        ("number", 10**400, "number: expected a finite number"),
        ("flag", 1, "flag: expected true or false, got 1"),
        ("flag", "yes", "flag: expected true or false, got 'yes'"),
        ("mode", "c", "mode: 'c' is not one of the choices; known: a, b"),
        ("qos", 3, "qos: 3 is not one of the choices; known: 0, 1, 2"),
        ("qos", True, "qos: true is not one of the choices; known: 0, 1, 2"),
        ("maybe", "x", "maybe: expected a whole number, got 'x'"),
        ("names", None, "names: expected a list, got nothing"),
        ("names", {"a": 1}, "names: expected a list, got a mapping"),
        ("names", 5, "names: expected text, got 5; write it in quotes"),
        ("sizes", ["a"], "sizes: expected a mapping of names to values, got a list"),
        ("every", 5, "every: expected a duration such as 250ms, 10s, 5m, 2h or 7d, got '5'"),
        ("every", True, "every: expected a duration such as 10s, got true"),
        ("every", None, "every: expected a duration such as 10s, got nothing"),
        ("every", "1us", "every: must be at least 1ms, got 1us"),
        ("room", ["1KiB"], "room: expected a size such as 64KiB, got a list"),
        ("room", "2KiB", "room: must be at most 1KiB, got 2KiB"),
        ("limits", "x", "limits: expected a mapping with some of: high, low, with; got 'x'"),
        ("upper", 5, "upper: expected text for Upper"),
        ("text", {"a": 1}, "text: expected text, got a mapping"),
        ("whole", "y" * 100, "whole: expected a whole number, got '" + "y" * 56 + "…"),
    ],
)
def test_what_does_not_fit_is_told(field, given, told):
    assert wrong(**{field: given}) == [told]


def test_every_problem_is_told_at_once_with_its_path():
    assert wrong(
        text=1,
        names=["a", 2, 3],
        sizes={"a": "x", "b": 1, "c": None},
        limits={"low": -11, "hihg": 1, "with": 5},
        either={"a": "z", "b": "x", "c": 1},
    ) == [
        "text: expected text, got 1; write it in quotes",
        "names.1: expected text, got 2; write it in quotes",
        "names.2: expected text, got 3; write it in quotes",
        "sizes.a: expected a whole number, got 'x'",
        "sizes.c: expected a whole number, got nothing",
        "limits.hihg: unknown field 'hihg'; did you mean 'high'?",
        "limits: the field 'high' is missing; the highest value",
        "limits.low: must be at least -10, got -11",
        "limits.with: expected text, got 5; write it in quotes",
        "either.a: 'z' is not one of the choices; known: x, y",
        "either.c: 1 is not one of the choices; known: x, y",
    ]


def test_alternatives_are_told_together():
    assert wrong(either=[1]) == ["either.0: expected text, got 1; write it in quotes"]
    assert wrong(either=5) == [
        "either: expected text, got 5; write it in quotes, or expected a mapping of names to "
        "values, got 5"
    ]


def test_a_problem_of_a_value_class_keeps_its_column():
    with pytest.raises(ConfigError) as caught:
        Everything(upper="bad")
    assert caught.value.problems == (Problem("bad text", ("upper",), column=3),)


def test_groups_of_settings():
    made = Everything(limits={"high": 1, "with": "w"})
    assert made.limits == Limits(high=1.0, with_="w")
    kept = Limits(high=2.0)
    assert Everything(limits=kept).limits is kept
    assert build(Limits, {"high": 3}) == Limits(high=3.0)


@pytest.fixture
def _variables(monkeypatch):
    for name, value in {
        "TEXT": "t",
        "N": "5",
        "X": "1.5",
        "YES": "true",
        "UNDER": "1_0",
        "ZEROS": "007",
        "NAN": "nan",
        "EMPTY": "",
        "TIME": "5m",
        "CANARY": "canary",
        "LIST": "[a, b]",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NONE", raising=False)


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize(
    ("field", "given", "held"),
    [
        ("text", "${TEXT}", "t"),
        ("text", "${N}", "5"),
        ("text", "a ${N} $${N}", "a 5 ${N}"),
        ("text", "${LIST}", "[a, b]"),
        ("whole", "${N}", 5),
        ("number", "${N}", 5.0),
        ("number", "${X}", 1.5),
        ("flag", "${YES}", True),
        ("flag", "${NONE:-false}", False),
        ("mode", "${NONE:-b}", "b"),
        ("qos", "${NONE:-2}", 2),
        ("maybe", "${N}", 5),
        ("names", "${TEXT}", ("t",)),
        ("names", ["a", Template("${TEXT}")], ("a", "t")),
        ("names", "${LIST}", ("[a, b]",)),
        ("every", "${TIME}", Nanos(300_000_000_000)),
        ("free", "${TEXT}", "t"),
        ("free", {"a": [Template("${TEXT}")]}, {"a": ["t"]}),
    ],
)
def test_templates_are_filled_in_where_a_field_takes_them(field, given, held):
    value = Template(given) if isinstance(given, str) else given
    assert getattr(Everything(**{field: value}), field) == held


@pytest.mark.usefixtures("_variables")
def test_text_that_is_no_template_is_left_as_it_is():
    assert Everything(text="${NONE}").text == "${NONE}"


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize(
    ("field", "given", "told"),
    [
        ("whole", "${CANARY}", "whole: expected a whole number, got the value of '${CANARY}'"),
        ("whole", "${UNDER}", "whole: expected a whole number, got the value of '${UNDER}'"),
        ("whole", "${ZEROS}", "whole: expected a whole number, got the value of '${ZEROS}'"),
        ("whole", "${EMPTY}", "whole: expected a whole number, got the value of '${EMPTY}'"),
        ("number", "${NAN}", "number: expected a number, got the value of '${NAN}'"),
        ("flag", "${N}", "flag: expected true or false, got the value of '${N}'"),
        ("every", "${CANARY}", "every: expected a duration such as 10s, got the value of "
         "'${CANARY}'"),
        ("mode", "${CANARY}", "mode: the value of '${CANARY}' is not one of the choices; "
         "known: a, b"),
        ("text", "${NONE}", "text: environment variable NONE is not set; write ${NONE:-default} "
         "for a default"),
        ("text", "${", "text: write ${NAME}, ${NAME:-default} or ${file:/path}; $${ stands for "
         "${"),
    ],
)  # fmt: skip
def test_what_was_filled_in_is_not_shown(field, given, told):
    assert wrong(**{field: Template(given)}) == [told]


@pytest.mark.usefixtures("_variables")
def test_secrets_come_from_outside_only(tmp_path):
    (tmp_path / "p").write_text("from a file\n")
    made = Everything(password="${CANARY}")
    assert isinstance(made.password, Secret)
    assert made.password.reveal() == "canary"
    assert "canary" not in repr(made)
    assert Everything(password=f"${{file:{tmp_path}/p}}").password.reveal() == "from a file"
    given = Secret("x", "y")
    assert Everything(password=given).password is given
    assert Everything(password="${NONE:-}").password.reveal() == ""
    for literal in ("hunter2", "", "$${CANARY}", 5):
        assert wrong(password=literal) == [
            "password: a secret is not written here; use ${VARIABLE} or ${file:/run/secrets/name}"
        ]
    assert wrong(password="${NONE:-hunter2}") == [
        "password: a secret is not written here, not even as a default"
    ]
    assert wrong(password="${NONE}") == [
        "password: environment variable NONE is not set; write ${NONE:-default} for a default"
    ]


def test_a_component_converts_its_fields_and_knows_them():
    @component("thing", examples=("thing: {}",))
    class Thing(Codec):
        """A thing."""

        every: Duration = option("1s", help="how often")

        def decode(self, payloads):
            raise NotImplementedError

        def encode(self, batch):
            raise NotImplementedError

    assert Thing("5m").every == Nanos(300_000_000_000)
    assert Thing(every="5m") == Thing(every="300s")
    with pytest.raises(ConfigError, match=r"every: expected a duration"):
        Thing(every=5)


def test_facts_of_fields():
    known = options(Everything)
    assert "running" not in known
    assert list(known)[:2] == ["text", "whole"]
    assert list(options(Limits)) == ["high", "low", "with_"]
    assert written("with_") == "with"
    assert facts(known["whole"]).maximum == 10
    assert facts(options(Limits)["high"]).help == "the highest value"
    assert required(options(Limits)["high"])
    assert not required(known["sizes"])
    assert annotation(Everything, "maybe") == int | None


def test_tuples_and_lists_are_sequences_too():
    assert convert(tuple[int, ...], [1, 2]) == (1, 2)
    assert convert(list[str], "a") == ("a",)
    assert convert(Sequence[Limits], [{"high": 1}]) == (Limits(high=1.0),)
    with pytest.raises(ConfigError) as caught:
        convert(Mapping[str, Sequence[int]], {"a": [1, "x"], "b": 2})
    assert [problem.path for problem in caught.value.problems] == [("a", 1)]
