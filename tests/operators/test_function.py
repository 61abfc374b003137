import sys
import typing

import numpy as np
import pytest

from edgestream.batch import Batch, empty, from_rows
from edgestream.config.convert import build
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Fatal, Rejected
from edgestream.operators.function import FunctionOperator, Use, operator
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

BATCH = from_rows([{"x": 1.0, "s": "a"}, {"x": 2.0, "s": None}], [3, 4])


@operator
def calibrate(batch: Batch, offset: float = 0.0, *, scale: float = 1.0) -> Batch:
    """Moves x."""
    return batch.with_columns(x=batch["x"] * scale + offset)


@operator
def every(batch: Batch, step: Duration, names: typing.Sequence[str] = ()) -> Batch:
    return batch.with_columns(step=[float(nanos(step))] * len(batch), names=[len(names)])


def plain(batch: Batch) -> Batch:
    return batch


def run(function, batch=BATCH):
    return FunctionOperator(function).using().process(batch)


class TestFunction:
    def test_is_called_like_a_function(self):
        assert calibrate(BATCH, offset=2)["x"].tolist() == [3, 4]
        assert calibrate(BATCH, 2, scale=10)["x"].tolist() == [12, 22]
        assert (calibrate.__name__, calibrate.__doc__) == ("calibrate", "Moves x.")
        assert calibrate.__module__ == __name__
        assert calibrate.reference == f"{__name__}:calibrate"

    @pytest.mark.parametrize(
        "function",
        [
            lambda: BATCH,
            lambda batch, *rest: batch,
            lambda batch, **rest: batch,
            lambda *batches: batches[0],
            lambda batch, option, /: batch,
            lambda *, batch: batch,
        ],
    )
    def test_what_can_be_no_step_is_refused_at_once(self, function):
        with pytest.raises(TypeError, match=r"parameter|option"):
            operator(function)


class TestUsing:
    def test_makes_a_step(self):
        rows = check_operator(calibrate.using(offset=2), [BATCH])[""]
        assert [row["x"] for row in rows] == [3, 4]

    def test_is_equal_by_reference_and_options(self):
        assert calibrate.using(offset=2) == calibrate.using(2.0)
        assert calibrate.using() != calibrate.using(offset=0.0)
        assert calibrate.using() != every.using(step="1s")

    def test_needs_no_allow_list(self):
        step = calibrate.using(1)
        step.resolve([])
        assert step.process(BATCH)[0][1]["x"].tolist() == [2, 3]

    def test_options_are_read_by_their_annotations(self):
        ((_, made),) = every.using(step="2s", names="a").process(BATCH.take(slice(0, 1)))
        assert made["step"].tolist() == [2e9]
        assert made["names"].tolist() == [1]

    @pytest.mark.parametrize(
        ("make", "path", "words"),
        [
            (lambda: calibrate.using(ofset=1), ("with", "ofset"), "did you mean 'offset'"),
            (lambda: calibrate.using(offset="much"), ("with", "offset"), "expected a number"),
            (lambda: calibrate.using(offset=None), ("with", "offset"), "expected a number"),
            (lambda: every.using(step="2"), ("with", "step"), "duration"),
            (every.using, ("with",), "'step'"),
        ],
    )
    def test_options_that_do_not_fit(self, make, path, words):
        with pytest.raises(ConfigError) as caught:
            make()
        (problem,) = caught.value.problems
        assert problem.path == path
        assert words in str(problem)

    def test_all_problems_at_once(self):
        with pytest.raises(ConfigError) as caught:
            calibrate.using(ofset=1, offset="x", scale="y")
        assert len(caught.value.problems) == 3

    def test_too_many_positions(self):
        with pytest.raises(ConfigError, match="takes 2 options, got 3"):
            calibrate.using(1, 2, 3)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A package on the path with steps in it."""
    package = tmp_path / "fieldwork"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "steps.py").write_text(
        "from edgestream.operators.function import operator\n"
        "@operator\n"
        "def double(batch, times: int = 2):\n"
        "    return batch.with_columns(x=batch['x'] * times)\n"
        "def helper(batch):\n"
        "    return batch\n"
    )
    (package / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "fieldwork.steps"
    for name in [name for name in sys.modules if name.split(".")[0] == "fieldwork"]:
        del sys.modules[name]


class TestNamed:
    def test_yaml_and_python_build_the_same(self):
        from_yaml = build(Use, {"function": f"{__name__}:calibrate", "with": {"offset": 2}})
        assert from_yaml == calibrate.using(offset=2.0)
        assert build(Use, {"function": f"{__name__}:calibrate"}) == calibrate.using()

    @pytest.mark.parametrize("allowed", ["fieldwork", "fieldwork.steps"])
    def test_allowed(self, module, allowed):
        step = build(Use, {"function": "fieldwork.steps:double", "with": {"times": 3}})
        assert module not in sys.modules
        step.resolve(["other", allowed])
        assert [row["x"] for row in check_operator(step, [BATCH])[""]] == [3, 6]

    @pytest.mark.parametrize("allowed", [(), ("field",), ("fieldwork.step",), ("steps",), ("",)])
    def test_not_allowed_is_not_imported(self, module, allowed):
        with pytest.raises(ConfigError) as caught:
            Use("fieldwork.steps:double").resolve(allowed)
        (problem,) = caught.value.problems
        assert problem.path == ("function",)
        assert "allow-list" in problem.message
        assert "--allow-module fieldwork" in problem.hint
        assert "EDGESTREAM_ALLOW_MODULES=fieldwork" in problem.hint
        assert "fieldwork" not in sys.modules

    @pytest.mark.parametrize(
        ("reference", "words"),
        [
            ("fieldwork.steps:dubble", "did you mean 'double'"),
            ("fieldwork.steps:helper", "@es.operator"),
            ("fieldwork.steps:operator", "@es.operator"),
            ("fieldwork.steps:double.function", "top of its module"),
            ("fieldwork.steps:__builtins__", "@es.operator"),
            ("fieldwork.nothing:double", "PYTHONPATH"),
            ("fieldwork.broken:double", "ZeroDivisionError"),
            ("fieldwork/steps:double", "top of its module"),
            ("fieldwork..steps:double", "top of its module"),
            (".fieldwork:double", "top of its module"),
        ],
    )
    def test_what_is_no_step(self, module, reference, words):
        with pytest.raises(ConfigError) as caught:
            Use(reference).resolve(["fieldwork"])
        (problem,) = caught.value.problems
        assert problem.path == ("function",)
        assert words in str(problem)

    def test_options_that_do_not_fit(self, module):
        with pytest.raises(ConfigError) as caught:
            Use("fieldwork.steps:double", {"tims": 3}).resolve(["fieldwork"])
        assert caught.value.problems[0].path == ("with", "tims")

    @pytest.mark.parametrize("reference", ["", "steps", "a:", ":b", "a:b:c"])
    def test_the_form_is_checked_when_made(self, reference):
        with pytest.raises(ConfigError, match="module:function"):
            Use(reference)

    def test_unresolved_it_does_not_run(self):
        with pytest.raises(Fatal, match="never imported"):
            Use("os:system").process(BATCH)


class TestProcess:
    def test_any_columns_may_enter_and_leave(self):
        step = calibrate.using()
        assert step.infer(Schema.of_kinds({"x": "float"})) == Schema.unknown()
        assert step.uses() == {}
        assert step.passes(frozenset({"x"})) is None

    def test_no_rows_give_no_output(self):
        assert calibrate.using().process(empty(BATCH)) == []
        assert run(lambda batch: batch.take(slice(0, 0))) == []

    def test_rows_may_go_and_come(self):
        ((_, made),) = run(lambda batch: batch.take([0, 0, 1]))
        assert len(made) == 3

    def test_what_it_raises_is_said_with_place_and_cause(self):
        said = r"KeyError: 'x' \(in .*calibrate, at .*\.py:\d+\)"
        with pytest.raises(Rejected, match=said) as caught:
            calibrate.using().process(from_rows([{"y": 1}]))
        assert isinstance(caught.value.__cause__, KeyError)

    def test_component_errors_pass(self):
        def refuse(batch):
            raise Rejected({0: "bad"})

        with pytest.raises(Rejected):
            run(refuse)

    def test_writing_to_a_batch_is_explained(self):
        def spoil(batch):
            batch["x"][0] = 5
            return batch

        with pytest.raises(Rejected, match="never change"):
            run(spoil)

    @pytest.mark.parametrize(
        ("function", "words"),
        [
            (lambda batch: None, "gave NoneType; give a Batch"),
            (lambda batch: batch.columns, "give a Batch"),
            (lambda batch: Batch(batch.columns, batch.times.astype(float)), "int64 nanoseconds"),
            (lambda batch: Batch({}, batch.times, ("x",)), "left out 'x'"),
            (lambda batch: Batch({"z": np.zeros((2, 2))}, batch.times), "dimension"),
            (lambda batch: Batch({"z": np.zeros(2, complex)}, batch.times), "complex"),
            (lambda batch: Batch({"z": np.zeros(3)}, batch.times), "3 rows"),
        ],
    )
    def test_what_is_no_batch_is_refused(self, function, words):
        with pytest.raises((Fatal, Rejected), match=words):
            run(function)

    def test_small_types_are_widened(self):
        columns = {"f": np.zeros(2, np.float32), "i": np.zeros(2, np.uint8), "s": BATCH["s"]}
        ((_, made),) = run(lambda batch: Batch({**columns}, batch.times))
        assert (made["f"].dtype, made["i"].dtype) == (np.float64, np.int64)
