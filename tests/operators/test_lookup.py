import datetime as dt
import json
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.cli.load import load_spec
from edgestream.errors import ConfigError, Fatal, Retry
from edgestream.operators.indexed import Indexed
from edgestream.operators.lookup import Lookup
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

SCHEMA = Schema.of_kinds({"device": "string", "value": "float"})
SENSORS = "device,room,floor,height\na,attic,3,2.5\nb,cellar,0,\na,loft,4,1\n"
ROWS = from_rows([{"device": name, "value": 1.0} for name in ("a", "b", "c", None)])


@pytest.fixture
def sensors(tmp_path):
    path = tmp_path / "sensors.csv"
    path.write_text(SENSORS)
    return str(path)


def ready(lookup, schema=SCHEMA):
    lookup.infer(schema)
    return lookup


def bare(rows, *names):
    return [tuple(row.get(name) for name in names) for row in rows]


def test_columns_of_the_table_are_added(sensors):
    left = check_operator(ready(Lookup(sensors, "device")), [ROWS])
    assert bare(left[""], "device", "room", "floor", "height", "value") == [
        ("a", "loft", 4, 1.0, 1.0),
        ("b", "cellar", 0, None, 1.0),
        ("c", None, None, None, 1.0),
        (None, None, None, None, 1.0),
    ]
    assert Lookup(sensors, "device").infer(SCHEMA).fields == {
        **SCHEMA.fields,
        "room": "string",
        "floor": "float",
        "height": "float",
    }


def test_rows_that_are_not_in_the_table_may_go(sensors):
    lookup = Lookup(sensors, "device", columns="floor", prefix="at.", missing="drop")
    assert lookup.infer(SCHEMA).fields == {**SCHEMA.fields, "at.floor": "int"}
    left = check_operator(lookup, [ROWS])
    assert bare(left[""], "device", "at.floor", "room") == [("a", 4, None), ("b", 0, None)]
    assert list(left) == [""]


def test_or_leave_with_a_reason(sensors):
    lookup = ready(Lookup(sensors, "device", missing="reject"))
    left = check_operator(lookup, [ROWS])
    assert bare(left[""], "device") == [("a",), ("b",)]
    reason = f"{sensors} has no such row"
    assert bare(left["rejected"], "device", "value", "reason") == [
        ("c", 1.0, reason),
        (None, 1.0, reason),
    ]
    assert lookup.port_schema("rejected", SCHEMA).kind("reason") == "string"


def test_several_columns_and_other_names(tmp_path):
    path = tmp_path / "limits.json"
    table = [
        {"place": "n", "no": 1, "most": 5, "on": True},
        {"place": "n", "no": 2, "most": 6, "on": False},
        {"place": "s", "no": 1, "most": 7.5, "on": True},
        {"place": None, "no": 1, "most": 0, "on": True},
    ]
    path.write_text(json.dumps(table))
    lookup = Lookup(str(path), {"site": "place", "frame": "no"}, missing="drop")
    made = lookup.infer(Schema.of_kinds({"site": "string", "frame": "int"}))
    assert (made.kind("most"), made.kind("on")) == ("float", "bool")
    rows = [{"site": s, "frame": f} for s in ("n", "s", "w", None) for f in (1, 2, None)]
    left = check_operator(lookup, [from_rows(rows)])
    assert bare(left[""], "site", "frame", "most", "on") == [
        ("n", 1, 5, True),
        ("n", 2, 6, False),
        ("s", 1, 7.5, True),
    ]


def test_objects_by_line(tmp_path):
    path = tmp_path / "t.ndjson"
    path.write_text('{"device": "a", "x": 1}\n{"device": "b"}\n')
    left = check_operator(ready(Lookup(str(path), "device")), [ROWS])
    assert bare(left[""], "x") == [(1,), (None,), (None,), (None,)]


def test_tables_in_sqlite(tmp_path):
    path = str(tmp_path / "plant.db")
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "odd ""name" (device TEXT, room TEXT, n INTEGER)')
        connection.execute("INSERT INTO \"odd \"\"name\" VALUES ('a', 'attic', 7)")
    connection.close()
    lookup = Lookup({"sqlite": {"path": path, "table": 'odd "name'}}, "device", missing="drop")
    assert bare(check_operator(ready(lookup), [ROWS])[""], "room", "n") == [("attic", 7)]
    query = {"path": path, "query": 'SELECT device, 2 * n AS twice FROM "odd ""name"'}
    left = check_operator(ready(Lookup({"sqlite": query}, "device", missing="drop")), [ROWS])
    assert bare(left[""], "twice") == [(14,)]
    with pytest.raises(ConfigError, match="no such table: nothing"):
        Lookup({"sqlite": {"path": path, "table": "nothing"}}, "device").infer(SCHEMA)
    with pytest.raises(ConfigError, match="unable to open"):
        Lookup({"sqlite": {"path": path + "x", "table": "a"}}, "device").infer(SCHEMA)
    assert not Path(path + "x").exists()
    with pytest.raises(ConfigError, match="either a table or a query"):
        Lookup({"sqlite": {"path": path}}, "device")


@pytest.mark.parametrize(
    ("keys", "column", "found"),
    [
        ([7, 8], Strings.of(["7", "007", "8.0", "x", None]), [0, -1, -1, -1, -1]),
        (["7", "007", "x"], np.array([7, 8]), [0, -1]),
        (["7", "1.5"], np.array([7.0, 1.5, np.nan]), [0, 1, -1]),
        ([2**62, 2**62 + 1], np.array([2**62 + 1, 2**62]), [1, 0]),
        ([True, False], np.array([False, True]), [1, 0]),
        ([1.0, None], np.array([1, 0]), [0, -1]),
        ([], np.array([1, 0]), [-1, -1]),
        ([1], np.array([1], "datetime64[us]"), [-1]),
        (["a", "b", "a"], Strings.of(["a", "b"]), [2, 1]),
    ],
)
def test_how_keys_are_compared(keys, column, found):
    table = Indexed({"k": keys}, ["k"])
    assert table.find([column], len(column)).tolist() == found
    assert table.find([None], 2).tolist() == [-1, -1]


def test_a_column_of_times():
    at = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    cells = {"k": [1, 2], "t": [at, None], "mixed": [at, "x"]}
    made = Indexed(cells, ["k"]).columns["t"]
    assert made.kind == "time"
    assert made.optional.astype(str).tolist() == ["2026-03-01T11:00:00.000000", "NaT", "NaT"]
    mixed = Indexed(cells, ["k"]).columns["mixed"].column
    assert to_python(mixed) == [at.isoformat(), "x", None]
    assert Indexed(cells, ["t"]).find([made.column], 3).tolist() == [-1, -1, -1]


KEY = st.one_of(st.none(), st.integers(0, 3))


@settings(deadline=None)
@given(
    st.lists(st.tuples(KEY, KEY, KEY, st.integers(0, 9)), max_size=12),
    st.lists(st.tuples(KEY, KEY, KEY), min_size=1, max_size=12),
)
def test_finds_what_a_mapping_finds(table, rows):
    names = ("x", "y", "z", "value")
    cells = {name: [row[at] for row in table] for at, name in enumerate(names)}
    known = {row[:3]: at for at, row in enumerate(table) if None not in row[:3]}
    batch = from_rows([dict(zip(names, row, strict=False)) for row in rows])
    found = Indexed(cells, names[:3]).find([batch[name] for name in names[:3]], len(rows))
    assert found.tolist() == [known.get(row, -1) for row in rows]


def test_it_is_read_again_when_it_changed(sensors):
    lookup = ready(Lookup(sensors, "device", columns="room", refresh="5s"))
    assert lookup.refresh_every() == 5_000_000_000
    before = lookup.load()
    assert lookup.load() is before
    Path(sensors).write_text("device,room\nc,kitchen and more\n")
    lookup.take(lookup.load())
    rows = lookup.process(ROWS)[0][1].rows()
    assert bare(rows, "room") == [(None,), (None,), ("kitchen and more",), (None,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read .*: No such file"),
        ("device,place\na,b\n", r"has no column 'floor'.*known: device, place"),
        ("device,floor\na,high\n", "the column 'floor' held numbers and now holds text"),
        ("device,floor\na\n", "row 2 has 1 fields, the header 2"),
        ('device,floor\na,"b\n', "cannot read .*: unexpected end of data"),
        ("", "its columns need names"),
        ("device,device\na,b\n", "its columns need names, all different"),
    ],
)
def test_a_table_that_cannot_be_used_leaves_the_one_before(sensors, text, message):
    lookup = ready(Lookup(sensors, "device", columns="floor"))
    if text is None:
        Path(sensors).unlink()
    else:
        Path(sensors).write_text(text)
    with pytest.raises(Retry, match=message):
        lookup.take(lookup.load())
    assert bare(lookup.process(ROWS)[0][1].rows(), "floor")[:2] == [(4,), (0,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2]", "expected a list of objects"), ("[", "truncated"), ('[{"a": {}}]', "'a' holds")],
)
def test_json_that_is_no_table_is_told(tmp_path, text, message):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        Lookup(str(path), "a").infer(Schema.unknown())


def test_quotes_and_lines_in_csv(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffdevice,text\r\na,"one,\r\ntwo ""x"""\r\n\r\nb,007\r\n'.encode())
    left = check_operator(ready(Lookup(str(path), "device", missing="drop")), [ROWS])
    assert bare(left[""], "text") == [('one,\r\ntwo "x"',), ("007",)]


def test_names_are_checked(sensors):
    with pytest.raises(ConfigError, match=r"on\.0: there is no column 'devise'"):
        Lookup(sensors, "devise").infer(SCHEMA)
    with pytest.raises(ConfigError, match=r"on\.devise: there is no column 'devise'"):
        Lookup(sensors, {"devise": "device"}).infer(SCHEMA)
    with pytest.raises(ConfigError, match="has no column 'rom'; did you mean 'room'"):
        Lookup(sensors, "device", columns=["rom"]).infer(SCHEMA)
    with pytest.raises(ConfigError, match="has no column 'value'"):
        Lookup(sensors, "value").infer(SCHEMA)
    with pytest.raises(ConfigError, match=r"table: cannot read .*; the table must be there"):
        Lookup(sensors + ".csv", "device").infer(SCHEMA)
    with pytest.raises(ConfigError, match="a path is that from the folder of the file"):
        Lookup("nowhere.csv", "device").infer(SCHEMA)
    with pytest.raises(ConfigError, match="the stream has a column 'room' already"):
        Lookup(sensors, "device").infer(SCHEMA.with_fields({"room": "string"}))
    lookup = ready(Lookup(sensors, "device", prefix="p."))
    assert lookup.uses() == {"device": "any"}
    assert lookup.passes(frozenset({"p.room", "value"})) == {"value"}
    assert lookup.passes(None) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": "t.txt", "on": "a"}, r"'t\.txt' is no table; known endings: \.csv"),
        ({"table": "t.csv", "on": []}, "no column is named"),
        ({"table": {"sqlit": {}}, "on": "a"}, r"table\.sqlit: there is no table 'sqlit'; did you"),
        ({"table": {"mqtt": {}}, "on": "a"}, r"table\.mqtt: .*'mqtt' is a source"),
        ({"table": {"file": "x.txt"}, "on": "a"}, r"table\.file: 'x\.txt' is no table"),
        ({"table": {"sqlite": {"path": 7}}, "on": "a"}, r"table\.sqlite\.path: expected text"),
        ({"table": {}, "on": "a"}, "table: expected a path or one kind of table; known: file, "),
        ({"table": 7, "on": "a"}, "table: expected a path or one kind of table"),
        ({"table": "t.csv", "on": "a", "missing": "lose"}, "not one of the choices"),
    ],
)
def test_fields_are_checked(given, message):
    with pytest.raises(ConfigError, match=message):
        Lookup(**given)


def test_without_a_table_it_does_not_run(sensors):
    with pytest.raises(Fatal, match="was never read"):
        Lookup(sensors, "device").process(ROWS)


def test_a_package_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    lookup = Lookup({"sqlite": {"path": "x.db", "table": "t"}}, "device")
    with pytest.raises(ConfigError, match="table: sqlite needs a package that is not installed"):
        lookup.infer(SCHEMA)


def test_a_fresh_one_reads_for_itself(sensors):
    lookup = ready(Lookup(sensors, "device"))
    with pytest.raises(Fatal):
        lookup.fresh().process(ROWS)
    empty = Batch({"device": Strings.of([])}, np.zeros(0, np.int64))
    assert lookup.process(empty) == []


def test_a_relative_table_lies_beside_the_pipeline_file(tmp_path, monkeypatch):
    folder = tmp_path / "plant"
    folder.mkdir()
    (folder / "rooms.csv").write_text("device,room\na,hall\n")
    (folder / "p.yaml").write_text(
        "name: p\nsource: {file: {path: x.ndjson}}\n"
        "steps: [{lookup: {table: rooms.csv, on: device}}]\nsink: stdout\n"
    )
    monkeypatch.chdir(tmp_path)
    spec = load_spec(Path("plant/p.yaml"), ())
    assert spec.streams["steps"].steps[0].table.path == "plant/rooms.csv"
    assert Lookup(str(folder / "rooms.csv"), on="device").beside("elsewhere").table.path == str(
        folder / "rooms.csv"
    )
    inside = Lookup({"sqlite": {"path": "plant.db", "table": "t"}}, on="device").beside("/etc")
    assert inside.table.path == "/etc/plant.db"
