"""Every codec and its bare way give the columns that were written, and wrong ones are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.data import make
from benchmarks.formats import BLOCK, FORMATS, measure

DATA = make(2 * BLOCK, 50, 50_000, jitter=1_000)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_it_reads_what_was_written(name, bare):
    assert measure(FORMATS[name], DATA, bare=bare)["wrong"] == 0


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_a_row_that_is_wrong_is_counted(name, bare):
    other = DATA.hundredths.copy()
    other[3] += 1
    honest = FORMATS[name]
    form = replace(honest, write=lambda data: honest.write(replace(data, hundredths=other)))
    assert measure(form, DATA, bare=bare)["wrong"] == 1
