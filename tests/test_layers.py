"""The rules of the source tree: layers, purity, sizes, and imports without side effects.

A waiver needs a reason, and fails when it is no longer needed.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.source_tree import ROOT, Module, modules

LAYERS = (
    ("_version", "entrypoints", "errors", "pieces", "textcodes"),
    ("dictionary",),
    ("batch", "clock", "config", "halving", "schema"),
    ("component", "eventtime", "expr", "scenario"),
    ("eventid",),
    ("aggregate", "codecs", "packing", "registry", "spec"),
    ("delivery", "read", "sinks", "sources", "window"),
    ("tables",),
    ("docs", "operators", "store", "web"),
    ("entry",),
    ("graph",),
    ("saved",),
    ("runtime",),
    ("building",),
    ("__init__",),
    ("testing",),
    ("cli",),
    ("__main__",),
)
"""Each may import from those above it only; units of one layer do not import each other."""

WAITING = frozenset(
    {"asyncio", "concurrent", "multiprocessing", "select", "selectors", "signal", "socket"}
    | {"subprocess", "threading", "time"}
)
"""Modules that wait, or that know what time it is."""
WAIT = {
    **dict.fromkeys(("cli", "runtime", "store", "testing", "web"), WAITING),
    "clock": frozenset({"asyncio", "time"}),
    "sinks": WAITING - {"time"},
    "sources": WAITING - {"time"},
    "building": frozenset({"asyncio"}),
}
HEAVY = frozenset({"amqtt", "asyncpg", "redis", "sqlite3", "paho", "yaml", "click", "h11"})
LONGEST_MODULE = 350
MOST_METHODS = 12
LONGEST_FUNCTION = 40
WAIVERS = {
    "edgestream": "the table of all that is public, one name a line",
    "edgestream.component": "the whole contract of components on one page",
    "edgestream.component:Operator": "all that a step may say of itself",
    "edgestream.operators.dedupe:Dedupe": "all but two of its methods are the contract",
    "edgestream.operators.join:Join": "all but two of its methods are the contract",
    "edgestream.operators.lookup:Lookup": "all but three of its methods are the contract",
    "edgestream.operators.window:Window": "all but one of its methods are the contract",
    "edgestream.runtime.task:Task": "the middle of the path in one piece, read top to bottom",
    "edgestream.runtime.samples:samples": "one line a metric",
    "edgestream.runtime.writer:Writer": "the one loop of a sink, with what it waits for",
    "edgestream.store.store:Store": "one method for each thing the runtime asks of the file",
    "edgestream.window.aligned:Aligned": "eight of its methods are the contract of a window kind",
    "edgestream.window.blocks:Blocks": "arrays kept in step by every method",
    "edgestream.window.kind:Kind": "the whole contract of a window kind",
    "edgestream.window.keyed:Keyed": "what `Running` does, by the watermark of each key",
    "edgestream.window.marks:Marks": "arrays kept in step by every method",
    "edgestream.window.panes:Panes": "one structure whose arrays are kept in step by every method",
    "edgestream.window.recounted:Recounted": "as Counted, for windows that begin at every k-th row",
    "edgestream.window.running:Running": "one method for each thing the operator asks of its state",
    "edgestream.window.sessions:Sessions": "eight of its methods are the contract of a window kind",
    "edgestream.window.unaligned:Unaligned": "as Aligned, by the watermark of each key",
    "edgestream_connectors.mqtt.publish:scan": "a call a message would cost a quarter more",
}
"""``module``, ``module:Class`` or ``module:function`` → why it may be larger than the rules say."""

EVERYTHING = [*modules("edgestream"), *modules("edgestream_connectors")]


def rank(unit: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if unit in layer)


def named(found: Iterable[Module]) -> list[object]:
    return [pytest.param(module, id=module.name) for module in found]


def test_every_unit_has_one_layer() -> None:
    units = sorted({module.unit for module in modules("edgestream")})
    assert units == sorted(unit for layer in LAYERS for unit in layer)


@pytest.mark.parametrize("module", named(modules("edgestream")))
def test_imports_go_one_way(module: Module) -> None:
    wrong = []
    for line, target in module.imports():
        first, _, rest = target.partition(".")
        if first == "edgestream_connectors":
            wrong.append(f"{module.path}:{line}: edgestream does not know its connectors")
        if first != "edgestream":
            continue
        unit = rest.partition(".")[0] or "__init__"
        if unit != module.unit and rank(unit) >= rank(module.unit):
            wrong.append(f"{module.path}:{line}: {module.unit} does not import {unit}")
    assert wrong == []


@pytest.mark.parametrize("module", named(modules("edgestream")))
def test_only_some_units_wait(module: Module) -> None:
    allowed = WAIT.get(module.unit, frozenset())
    wrong = [
        f"{module.path}:{line}: {target}"
        for line, target in module.imports()
        if target.partition(".")[0] in WAITING - allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("module", named(modules("edgestream_connectors")))
def test_connectors_use_the_public_api_and_the_clock_of_their_context(module: Module) -> None:
    wrong = []
    for line, target in module.imports():
        top = target.partition(".")[0]
        own = ".".join(module.name.split(".")[:2])
        if top == "edgestream" and target not in ("edgestream", "edgestream.testing"):
            wrong.append(f"{module.path}:{line}: {target}; import it from edgestream")
        if top == "edgestream_connectors" and not f"{target}.".startswith(f"{own}."):
            wrong.append(f"{module.path}:{line}: {target} is another connector")
        if top == "time":
            wrong.append(f"{module.path}:{line}: take the time from ctx.clock")
    assert wrong == []


@pytest.mark.parametrize("module", named(EVERYTHING))
def test_heavy_packages_are_not_imported_with_a_component(module: Module) -> None:
    """At the top of a module that defines a component, or of ``edgestream`` itself."""
    defines = any(
        isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "component"
        for cls in module.classes()
        for decorator in cls.decorator_list
    )
    if not defines and module.name != "edgestream":
        pytest.skip("defines no component")
    wrong = [
        f"{module.path}:{node.lineno}"
        for node in module.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else _names(node))
        if name and name.partition(".")[0] in HEAVY
    ]
    assert wrong == []


def _names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]


_IMPORT_ALL = """
import importlib, json, logging, os, signal, sys, threading, warnings
import numpy
import edgestream
light = sorted(name.partition(".")[0] for name in sys.modules)
def world():
    return {
        "environment": dict(os.environ), "handlers": len(logging.getLogger().handlers),
        "logger": len(logging.getLogger("edgestream").handlers), "path": list(sys.path),
        "threads": threading.active_count(), "numpy": numpy.geterr(),
        "filters": len(warnings.filters), "sigint": str(signal.getsignal(signal.SIGINT)),
        "excepthook": sys.excepthook is sys.__excepthook__,
        "public": {name: id(value) for name, value in vars(edgestream).items()
                   if name in edgestream.__all__},
    }
before = world()
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
after = world()
changed = sorted(key for key in before if before[key] != after[key])
third = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([light, changed, third]))
"""


def test_importing_changes_nothing() -> None:
    names = [module.name for module in EVERYTHING if not module.name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, json.dumps(names)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    light, changed, third = json.loads(done.stdout)
    assert HEAVY.isdisjoint(light), "import edgestream brings these in"
    assert changed == [], "importing all modules changed these"
    assert {"amqtt", "asyncpg", "redis", "paho"}.isdisjoint(third)


def too_large() -> dict[str, str]:
    """What is larger than the rules say, with how large it is."""
    found: dict[str, str] = {}
    for module in EVERYTHING:
        if module.lines > LONGEST_MODULE:
            found[module.name] = f"{module.lines} lines"
        for cls in module.classes():
            methods = [
                node.name
                for node in cls.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and not (node.name.startswith("__") and node.name.endswith("__"))
            ]
            if len(methods) > MOST_METHODS:
                found[f"{module.name}:{cls.name}"] = f"{len(methods)} methods"
        for function in module.functions():
            body = function.body
            if ast.get_docstring(function) is not None:
                body = body[1:]
            length = (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length > LONGEST_FUNCTION:
                found[f"{module.name}:{function.name}"] = f"{length} lines"
    return found


def test_nothing_is_too_large() -> None:
    assert {name: size for name, size in too_large().items() if name not in WAIVERS} == {}


def test_no_waiver_is_stale() -> None:
    assert sorted(set(WAIVERS) - set(too_large())) == []
    assert all(WAIVERS.values()), "a waiver needs a reason"
