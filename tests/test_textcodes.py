import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream import batch
from edgestream.batch import Dictionary
from edgestream.textcodes import MOST_BYTES, TextCodes

# few letters, so that texts repeat, begin alike and end in what numpy cuts off
WORDS = st.text("ab\0é", max_size=4) | st.text("ab", min_size=MOST_BYTES - 2, max_size=48)
TEXTS = st.lists(st.none() | WORDS, max_size=40)


class Plain(dict[str | None, int]):
    def __missing__(self, text):
        self[text] = -1 if text is None else sum(value >= 0 for value in self.values())
        return self[text]


@given(st.lists(WORDS, unique=True, min_size=1, max_size=60), TEXTS)
def test_it_takes_no_text_for_another(known, texts):
    found = TextCodes(known).find(texts)
    if found is None:
        assert any(t is None or not t.isascii() or "\0" in t for t in texts)
        return
    for text, code in zip(texts, found.tolist(), strict=True):
        assert code == -1 or known[code] == text


@given(st.lists(TEXTS, max_size=8))
def test_a_large_dictionary_codes_as_a_small_one(batches):
    dictionary, plain = Dictionary(), Plain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "MANY", 2)
        patch.setattr(batch, "_BUILD", 1)
        for texts in batches:
            assert dictionary.encode(texts).tolist() == [plain[text] for text in texts]


def test_nearly_all_of_many_are_found_at_once():
    texts = [f"sensor-{number:06d}" for number in range(50_000)]
    codes = TextCodes(texts).find(texts)
    assert codes is not None
    held = codes >= 0
    assert held.mean() > 0.95
    assert (codes[held] == np.flatnonzero(held)).all()
    assert TextCodes(texts).nbytes < 64 * len(texts)


def test_new_texts_that_keep_coming_are_not_looked_for_in_vain(monkeypatch):
    calls = []
    find = TextCodes.find
    monkeypatch.setattr(TextCodes, "find", lambda *args: calls.append(1) or find(*args))
    monkeypatch.setattr(batch, "MANY", 1_000)
    dictionary = Dictionary(str(number) for number in range(1_000))
    for begin in range(1_000, 101_000, 100):
        dictionary.encode([str(number) for number in range(begin, begin + 100)])
    assert len(dictionary) == 101_000
    assert not calls
    for _ in range(10):
        dictionary.encode([str(number) for number in range(101_000)])
    assert len(calls) >= 5
