"""Every family defines the functions that are listed for it, and is imported only when used."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from edgestream import aggregate
from edgestream.aggregate.functions import FAMILIES, FUNCTIONS, members


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_the_functions_listed_for_it(family: str) -> None:
    assert sorted(members(family)) == sorted(FAMILIES[family])
    assert all(FUNCTIONS[name] is made for name, made in members(family).items())


def test_a_name_nobody_has() -> None:
    assert "meen" not in FUNCTIONS
    assert len(FUNCTIONS) == len(list(FUNCTIONS)) == sum(map(len, FAMILIES.values()))


def test_only_what_is_used_is_imported() -> None:
    code = "import sys; from edgestream import mean; mean('x')\n"
    code += "print([name for name in sys.modules if name.endswith(('.moments', '.digest'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['edgestream.aggregate.moments']\n"


def test_no_module_is_called_like_a_function() -> None:
    """Importing it would put it in the place of the function that makes the aggregate."""
    modules = {module.name for module in pkgutil.iter_modules(aggregate.__path__)}
    assert modules & set(FUNCTIONS) == set()
