import csv
import io
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.codecs import csv_table
from edgestream.codecs.csv import Csv
from edgestream.component import State
from edgestream.errors import ConfigError
from edgestream.schema import Schema


def rows_of(decoded):
    lists = {name: to_python(column) for name, column in decoded.columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(decoded.count)]


def lines(text: str) -> list[bytes]:
    return [line.encode() for line in text.split("|")]


def test_named_columns():
    codec = Csv(columns=["device", "t", "on"])
    decoded = codec.decode(lines("a,21.5,true|b,,false|c,3,TRUE"))
    assert rows_of(decoded) == [
        {"device": "a", "t": 21.5, "on": True},
        {"device": "b", "t": None, "on": False},
        {"device": "c", "t": 3.0, "on": True},
    ]
    assert decoded.good is None
    assert codec.schema() == Schema.of_kinds(dict.fromkeys(["device", "t", "on"], "any"))


def test_the_first_payload_is_the_header():
    codec = Csv()
    decoded = codec.decode(lines("device, t\r\n|a,1|device,t|b,2"))
    assert rows_of(decoded) == [{"device": "a", "t": 1}, {"device": "b", "t": 2}]
    assert decoded.rejected == {}
    assert decoded.good.tolist() == [1, 3]
    assert rows_of(codec.decode(lines("c,3"))) == [{"device": "c", "t": 3}]
    decoded = codec.decode(lines("d,4|device,t|device,5"))
    assert rows_of(decoded) == [{"device": "d", "t": 4}, {"device": "device", "t": 5}]
    assert decoded.good.tolist() == [0, 2]
    assert codec.schema() == Schema.unknown()


def test_a_payload_of_two_lines_brings_its_header():
    codec = Csv()
    decoded = codec.decode(lines("a,b\n1,2|b,c\r\n3,x|a,b\n4,5\n"))
    assert rows_of(decoded) == [
        {"a": 1, "b": 2, "c": None},
        {"a": None, "b": 3, "c": "x"},
        {"a": 4, "b": 5, "c": None},
    ]
    assert codec.decode(lines("7,8|1\n2\n3")).rejected == {
        1: "3 lines in one payload; one payload is one row"
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a", "1 fields where there are 2 columns"),
        ("a,1,2", "3 fields where there are 2 columns"),
        ("", "the payload is empty"),
        ("\r\n", "the payload is empty"),
        ("a,1\nb,2", "2 lines in one payload"),
        ("a,x", "t: expected a whole number, got 'x'"),
        ("a,1_0", "t: expected a whole number, got '1_0'"),
        ("a,0x1", "t: expected a whole number, got '0x1'"),
        ("a,true", "t: expected a whole number, got true"),
        ("a,9223372036854775808", "t: the whole number does not fit in 64 bits"),
        ("a,1e999", "t: the number is out of range"),
        ("a," + "9" * 5000, "t: the number is out of range"),
        ('a,"1', "not CSV: unexpected end of data"),
        ('a,"1"2', "not CSV: ',' expected after '\"'"),
        ("x" * 300_000 + ",1", "300002 bytes are more than max_payload"),
    ],
)
def test_a_bad_row_is_rejected_alone(line, reason):
    codec = Csv(columns=["d", "t"])
    decoded = codec.decode([b"a,1", line.encode(), b"b,2"])
    assert list(decoded.rejected) == [1]
    assert reason in decoded.rejected[1]
    assert rows_of(decoded) == [{"d": "a", "t": 1}, {"d": "b", "t": 2}]
    assert decoded.good.tolist() == [0, 2]


def test_bytes_that_are_no_text_are_rejected():
    assert Csv(columns=["a"]).decode([b"caf\xe9"]).rejected == {0: "not UTF-8: byte 0xe9 (byte 3)"}
    assert Csv(columns=["a"]).decode(["\ufeffx".encode()]).columns["a"].to_list() == ["x"]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ("1|2", "int64", [1, 2]),
        ("1| 2 |\t3", "int64", [1, 2, 3]),
        ("1|2.5", "float64", [1.0, 2.5]),
        ("1|", "float64", [1.0, None]),
        ("1|nan|2", "float64", [1.0, None, 2.0]),
        ("1.5|007", "float64", [1.5, 7.0]),
        ("1.5||.5|5.|1e3|+2", "float64", [1.5, None, 0.5, 5.0, 1000.0, 2.0]),
        ("true|false", "bool", [True, False]),
        ("true|", "float64", [1.0, None]),
        ("007|8", "text", ["007", "8"]),
        ("x||y", "text", ["x", None, "y"]),
        ("inf|1", "text", ["inf", "1"]),
        ("18446744073709551616|1", "float64", [2.0**64, 1.0]),
        ('"a,b"|"say ""hi"""|"two\nlines"', "text", ["a,b", 'say "hi"', "two\nlines"]),
    ],
)
def test_kinds_are_learnt(values, dtype, expected):
    block = [f"{value},k".encode() for value in values.split("|")]
    decoded = Csv(columns=["a", "k"]).decode(block)
    assert decoded.rejected == {}
    column = decoded.columns["a"]
    assert ("text" if isinstance(column, Strings) else str(column.dtype)) == dtype
    assert to_python(column) == expected


def test_declared_kinds():
    codec = Csv(columns={"device": "string", "n": "int", "t": "float"})
    decoded = codec.decode(lines("5,5,5|007,2.0,x|,,|1,1.5,1"))
    assert rows_of(decoded) == [
        {"device": "5", "n": 5, "t": 5.0},
        {"device": None, "n": None, "t": None},
    ]
    assert decoded.rejected == {
        1: "t: expected a number, got 'x'",
        3: "n: expected a whole number, got 1.5",
    }
    assert codec.schema() == Schema.of_kinds({"device": "string", "n": "int", "t": "float"})


def test_only_wanted_columns_are_made():
    codec = Csv(columns=["a", "b", "c"])
    codec.want(frozenset(["c", "temperature"]), {"c": "float"})
    decoded = codec.decode(lines("x,y,1|x,y,true"))
    assert rows_of(decoded) == [
        {"c": 1.0, "temperature": None},
        {"c": 1.0, "temperature": None},
    ]
    assert codec.absent == {"temperature": "known: a, b, c"}


def test_columns_absent_from_the_header_are_told():
    codec = Csv()
    codec.want(frozenset(["temprature"]), {})
    assert codec.absent == {}
    codec.decode(lines("device,temperature"))
    assert codec.absent == {"temprature": "did you mean 'temperature'?"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("a,a", "names a column twice"),
        ("a,", "'' is no name of a column"),
        ("21.5,b", "'21.5' is no name of a column; give columns if there is no header"),
        (",".join(f"c{n}" for n in range(1025)), "more than 1024 different columns"),
    ],
)
def test_a_bad_header_is_rejected_and_the_next_one_taken(header, reason):
    codec = Csv()
    decoded = codec.decode([header.encode(), b"x,y", b"1,2"])
    assert reason in decoded.rejected[0]
    assert rows_of(decoded) == [{"x": 1, "y": 2}]


def test_headers_cannot_bring_columns_without_end(monkeypatch):
    monkeypatch.setattr(csv_table, "MAX_COLUMNS", 3)
    decoded = Csv().decode([b"a,b\n1,2", b"c\n1", b"d\n1", b"e\n1", b"a,b\n3,4"])
    assert set(decoded.rejected) == {2, 3}
    assert set(decoded.columns) == {"a", "b", "c"}


def test_another_delimiter():
    codec = Csv(columns=["a", "b"], delimiter=";")
    assert rows_of(codec.decode(lines("1;2,5"))) == [{"a": 1, "b": "2,5"}]
    assert codec.encode(from_rows([{"a": "x;y", "b": 1.5}])) == [b'"x;y";1.5']


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"delimiter": ""}, "must be one character"),
        ({"delimiter": '"'}, "must be one character"),
        ({"delimiter": ",,"}, "must be one character"),
        ({"columns": ["a", "a"]}, "the column 'a' comes twice"),
        ({"columns": ["a", ""]}, "a column needs a name"),
        ({"columns": {"a": "number"}}, "not one of the choices"),
    ],
)
def test_bad_configuration_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        Csv(**config)


def test_codes_keep_their_meaning():
    codec = Csv(columns=["d"])
    one, two = (codec.decode(lines(text)).columns["d"] for text in ("a|b", "b|c"))
    assert one.dictionary is two.dictionary
    assert two.codes.tolist() == [1, 2]


def test_a_state_keeps_header_and_kinds():
    codec = Csv()
    codec.decode(lines("device,t|a,1|b,"))
    saved = codec.snapshot()
    again = Csv()
    again.restore(State(saved.version, json.loads(json.dumps(saved.meta)), {}))
    decoded = again.decode(lines("c,2|d,x"))
    assert decoded.columns["t"].dtype == np.float64
    assert rows_of(decoded) == [{"device": "c", "t": 2.0}]
    assert list(decoded.rejected) == [1]
    with pytest.raises(ConfigError, match="version 9"):
        again.restore(State(9, {}, {}))


def test_rows_are_written_as_lines():
    batch = Batch(
        {
            "d": Strings.of(["a,b", None, 'q"']),
            "n": np.array([1, 2, 3]),
            "t": np.array([1.5, np.nan, np.inf]),
            "on": np.array([True, False, True]),
            "at": np.array(["2026-01-01", "NaT", "2026-01-02"], "datetime64[us]"),
        },
        np.zeros(3, np.int64),
    )
    assert Csv().encode(batch) == [
        b'"a,b",1,1.5,true,2026-01-01T00:00:00Z',
        b",2,,false,",
        b'"q""",3,,true,2026-01-02T00:00:00Z',
    ]
    assert Csv(columns=["n", "d"]).encode(batch)[1] == b"2,"
    assert Csv().encode(Batch({}, np.zeros(2, np.int64))) == [b"", b""]
    with pytest.raises(ConfigError, match=r"no column 'temp' to write"):
        Csv(columns=["temp"]).encode(batch)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_quoted_texts_are_read_as_the_csv_module_reads_them(rows):
    """Texts of any kind, written by the csv module, come back (empty ones as missing)."""
    block = []
    for row in rows:
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(row)
        block.append(out.getvalue().encode())
    codec = Csv(columns={"a": "string", "b": "string"})
    decoded = codec.decode(block)
    expected = [{"a": a or None, "b": b or None} for a, b in rows]
    good = range(len(rows)) if decoded.good is None else decoded.good
    assert rows_of(decoded) == [expected[row] for row in good]
    for row in decoded.rejected:  # the csv module reads no NUL before Python 3.11.4
        assert "\0" in "".join(rows[row])


FIELDS = st.sampled_from(
    *[
        [
            "",
            "1",
            "-2",
            "2.5",
            "1e3",
            "1e999",
            "007",
            "x",
            "true",
            "nan",
            "inf",
            "1_0",
            " 3",
            "9" * 30,
        ]
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=12), st.lists(st.integers(0, 12), max_size=3))
def test_what_is_accepted_does_not_depend_on_the_batches(rows, cuts):
    block = [",".join(row).encode() for row in rows]
    at_once = Csv(columns=["a", "b"]).decode(block)
    parts = Csv(columns=["a", "b"])
    rejected: dict[int, str] = {}
    found = []
    edges = sorted({0, len(block), *(cut for cut in cuts if cut < len(block))})
    for start, end in itertools.pairwise(edges):
        part = parts.decode(block[start:end])
        rejected |= {start + row: why for row, why in part.rejected.items()}
        found += rows_of(part)
    assert rejected == dict(at_once.rejected)
    assert found == rows_of(at_once)


def test_the_header_of_a_rejected_payload_changes_nothing():
    """Found by fuzzing: rows before it in the block were read under its header."""
    decoded = Csv().decode([b"a,b\n1,x", b"b,c,a\n5", b"2,y"])
    assert decoded.rejected == {1: "1 fields where there are 3 columns"}
    assert decoded.columns["a"].tolist() == [1, 2]
    assert decoded.columns["b"].to_list() == ["x", "y"]
