import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream import dictionary as module
from edgestream import textcodes
from edgestream.dictionary import Dictionary
from edgestream.textcodes import MOST_BYTES, MOST_WORDS, WORD, TextCodes, first_bytes

# few letters, so that texts repeat, begin alike and end at the edge of what is held
WORDS = st.text("ab\0é\ud800", max_size=4) | st.text("abé", min_size=6, max_size=9)
LONG = st.text("ab", min_size=MOST_BYTES - 2, max_size=MOST_BYTES + 8)
TEXTS = st.lists(st.none() | WORDS | LONG, max_size=40)
NEW = st.lists(WORDS | LONG, unique=True, max_size=30)


class Plain(dict[str | None, int]):
    def __missing__(self, text):
        self[text] = -1 if text is None else sum(value >= 0 for value in self.values())
        return self[text]


@given(st.lists(NEW, max_size=6), TEXTS)
def test_it_finds_each_text_that_it_says_it_holds_and_takes_none_for_another(added, texts):
    known, apart = [], set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textcodes, "_FEWEST", 4)  # so that it grows
        many = TextCodes()
        for texts_added in added:
            new = [text for text in texts_added if text not in known]
            known += new
            apart |= set(many.add(new).tolist())
    assert many.count == len(known)
    for text, code in zip(texts, many.find(texts).tolist(), strict=True):
        assert code == -1 or known[code] == text
    for text, code in zip(known, many.find(known).tolist(), strict=True):
        mine = known.index(text)
        assert code == mine or (code == -1 and mine in apart)
        assert code == -1 or ("\0" not in text and len(text.encode("utf-8", "replace")) <= 40)


@given(st.lists(TEXTS, max_size=8), NEW)
def test_a_large_dictionary_codes_as_a_small_one(batches, appended):
    dictionary, plain = Dictionary(), Plain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", 2)
        patch.setattr(module, "_RECENT", 1)
        for at, texts in enumerate(batches):
            assert dictionary.encode(texts).tolist() == [plain[text] for text in texts]
            if at == len(batches) // 2:
                fresh = [text for text in appended if text not in plain]
                dictionary.append(fresh)
                for text in fresh:
                    plain[text]
            for text in texts:
                assert text is None or dictionary.code(text) == plain[text]
            assert dictionary.code("never") == -1
            asked = [text for text in (*texts, "never") if text is not None]
            assert dictionary.find(asked).tolist() == [plain.get(text, -1) for text in asked]
    assert [plain[text] for text in dictionary.values] == list(range(len(dictionary)))


PLAIN = st.text("abé", max_size=4) | st.text("abé", min_size=6, max_size=9)
PLAIN_TEXTS = st.lists(PLAIN | st.text("ab", min_size=38, max_size=48), min_size=1, max_size=40)


@given(st.lists(PLAIN_TEXTS, max_size=8), NEW, st.booleans())
def test_texts_that_are_rows_of_words_are_coded_as_texts(batches, appended, many):
    dictionary, plain = Dictionary(), Plain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", 2 if many else 1_000_000)
        patch.setattr(module, "_RECENT", 1)
        patch.setattr(textcodes, "_FEWEST", 4)
        patch.setattr(textcodes, "_SPACIOUS", 4)
        for at, texts in enumerate(batches):
            raw = [text.encode() for text in texts]
            size = -(-max(1, *map(len, raw)) // 8) * 8
            words = np.array(raw, f"S{size}").view(np.uint64).reshape(len(raw), -1)
            assert dictionary.encode_words(words).tolist() == [plain[text] for text in texts]
            if at == len(batches) // 2:
                fresh = [text for text in appended if text not in plain]
                dictionary.append(fresh)
                for text in fresh:
                    plain[text]
            if at % 2:
                assert dictionary.encode(texts).tolist() == [plain[text] for text in texts]
            for text in texts:
                assert dictionary.code(text) == plain[text]
            assert dictionary.find(texts).tolist() == [plain[text] for text in texts]
    assert [plain[text] for text in dictionary.values] == list(range(len(dictionary)))


def test_each_row_of_words_is_learned_once_and_no_python_dictionary_grows(monkeypatch):
    texts = [f"sensor-{number:04d}" for number in range(40_000)]
    words = np.array(texts, "S16").view(np.uint64).reshape(-1, 2)
    learned = []
    learn = Dictionary._learn
    monkeypatch.setattr(
        Dictionary, "_learn", lambda self, *of: learned.append(len(of[1])) or learn(self, *of)
    )
    dictionary = Dictionary()
    for _ in range(2):
        for begin in range(0, len(texts), 4_000):
            some = slice(begin, begin + 4_000)
            assert dictionary.encode_words(words[some]).tolist() == list(
                range(*some.indices(40_000))
            )
    assert sum(learned) == len(texts)
    assert len(dictionary._codes) < 20


def test_texts_made_to_fall_on_one_place_are_told_apart(monkeypatch):
    first, second = textcodes._FACTORS[:2]
    back = np.uint64(pow(int(second), -1, 1 << 64))
    texts = []
    for number in itertools.count():
        begin = f"{number:08d}"[::-1].encode()
        word = np.frombuffer(begin, np.uint64) * first
        rest = ((word ^ np.uint64(1)) * back).tobytes()
        if rest.isascii() and b"\0" not in rest:
            texts.append((begin + rest).decode())
        if len(texts) == 100:
            break
    words = np.array(texts, "S16").view(np.uint64).reshape(-1, 2)
    assert len(set(textcodes._mixed(words).tolist())) == 1
    assert len(TextCodes().add(texts)) == len(texts) - 2
    monkeypatch.setattr(module, "MANY", 50)
    dictionary = Dictionary()
    assert dictionary.encode_words(words[:30]).tolist() == list(range(30))
    again = np.concatenate([words[20:], words])
    assert dictionary.encode_words(again).tolist() == [*range(20, 100), *range(100)]
    assert dictionary.encode(texts).tolist() == list(range(100))


def test_a_text_that_a_small_dictionary_does_not_hold_is_not_looked_for_in_the_table(monkeypatch):
    """Expressions ask for their texts with every batch; looking there costs 30 µs."""
    dictionary = Dictionary()
    for _ in range(2):
        dictionary.encode_words(np.array(["a", "b"], "S8").view(np.uint64).reshape(-1, 1))
    assert dictionary._many is not None
    monkeypatch.setattr(TextCodes, "find", None)
    assert dictionary.code("b") == 1
    assert dictionary.code("never") == -1


@given(NEW, TEXTS)
def test_what_was_appended_to_a_small_dictionary_is_found(appended, texts):
    dictionary, plain = Dictionary(), Plain()
    dictionary.append(appended[:2])
    dictionary.append(appended[2:])
    for text in appended:
        plain[text]
    assert dictionary.encode(texts).tolist() == [plain[text] for text in texts]


def test_nearly_all_of_many_are_held():
    texts = [f"sensor-{number:06d}" for number in range(50_000)]
    many = TextCodes()
    assert len(many.add(texts)) < 0.05 * len(texts)
    held = many.find(texts) >= 0
    assert held.mean() > 0.95
    assert (many.find(texts)[held] == np.flatnonzero(held)).all()
    assert many.nbytes < 100 * len(texts)


def test_new_texts_that_keep_coming_are_not_looked_for_in_vain(monkeypatch):
    calls = []
    find = TextCodes.find
    monkeypatch.setattr(TextCodes, "find", lambda *args: calls.append(1) or find(*args))
    monkeypatch.setattr(module, "MANY", 1_000)
    dictionary = Dictionary(str(number) for number in range(1_000))
    for begin in range(1_000, 101_000, 100):
        dictionary.encode([str(number) for number in range(begin, begin + 100)])
    assert len(dictionary) == 101_000
    assert not calls
    for _ in range(10):
        dictionary.encode([str(number) for number in range(101_000)])
    assert len(calls) >= 5


ROWS = st.integers(1, MOST_WORDS).flatmap(
    lambda words: st.lists(
        st.binary(min_size=WORD * words, max_size=WORD * words), min_size=1, max_size=5
    )
)


@given(ROWS, st.data())
def test_the_first_bytes(rows, data):
    counts = [data.draw(st.integers(0, len(row))) for row in rows]
    kept = first_bytes(
        np.frombuffer(b"".join(rows), np.uint64).reshape(len(rows), -1), np.array(counts, np.uint8)
    )
    expected = [row[:size].ljust(len(row), b"\0") for row, size in zip(rows, counts, strict=True)]
    assert kept.tobytes() == b"".join(expected)
