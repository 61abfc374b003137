import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.config.values import Bytes, Nanos, Secret, Template, nanos, nbytes, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", 250_000_000),
        ("10s", 10_000_000_000),
        ("5m", 300_000_000_000),
        ("2h", 7_200_000_000_000),
        ("7d", 604_800_000_000_000),
        ("1w", 604_800_000_000_000),
        ("1us", 1000),
        ("3ns", 3),
        ("1.5s", 1_500_000_000),
        ("0.1s", 100_000_000),
        (" 10 s ", 10_000_000_000),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_durations(text, value):
    found = nanos(text)
    assert found == value
    assert type(found) is Nanos
    assert nanos(found) is found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500B", 500),
        ("64KiB", 65_536),
        ("1.5MiB", 1_572_864),
        ("1GiB", 2**30),
        ("2TiB", 2**41),
        ("1KB", 1000),
        ("3MB", 3_000_000),
        ("1 GB", 10**9),
        ("0", 0),
    ],
)
def test_sizes(text, value):
    found = nbytes(text)
    assert found == value
    assert type(found) is Bytes
    assert nbytes(found) is found


@pytest.mark.parametrize("read", [nanos, nbytes])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "10", "s", "-5s", "+5s", "1e3s", "5 parsecs", "5S", "1_0s", "٣s", "5s 3", "∞"),
        *("1.s", ".5s", "0x10B", "9" * 5000 + "s", "9" * 5000 + "B", "10s\n10s", "1kib"),
    ],
)
def test_what_is_no_quantity_is_refused_with_what_is(read, text):
    with pytest.raises(ValueError, match=r"expected a (duration|size) such as"):
        read(text)


@pytest.mark.parametrize(("read", "text"), [(nanos, "300000d"), (nbytes, "9999999TiB")])
def test_a_quantity_beyond_64_bits_is_refused(read, text):
    with pytest.raises(ValueError, match="too large"):
        read(text)


@given(st.integers(0, 2**62))
def test_a_duration_is_shown_as_it_is_written(value):
    assert nanos(repr(Nanos(value))) == value


@given(st.integers(0, 2**62))
def test_a_size_is_shown_as_it_is_written(value):
    assert nbytes(repr(Bytes(value))) == value


def test_quantities_in_text():
    assert f"{Nanos(90_000_000_000)} {Nanos(0)} {Nanos(5)}" == "90s 0s 5ns"
    assert f"{Bytes(65_536)} {Bytes(0)} {Bytes(1000)}" == "64KiB 0B 1000B"
    assert Nanos(1_500_000_000).seconds == 1.5


@pytest.fixture
def _variables(monkeypatch):
    monkeypatch.setenv("A", "one")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("EVIL", "x: 1\n- ${A} ${file:/etc/passwd}")
    monkeypatch.delenv("NONE", raising=False)


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("<${A}-${A}>", "<one-one>"),
        ("${NONE:-two}", "two"),
        ("${NONE:-}", ""),
        ("${A:-two}", "one"),
        ("${EMPTY:-two}", ""),
        ("${NONE:-a:-b c}", "a:-b c"),
        ("${NONE:-$5}", "$5"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ {A}", "$A $ {A}"),
        ("plain", "plain"),
        ("${EVIL}", "x: 1\n- ${A} ${file:/etc/passwd}"),
    ],
)
def test_templates_are_filled_in_once(text, value):
    assert resolve(text) == value


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NONE}", r"variable NONE is not set; write \$\{NONE:-default\}"),
        ("${}", r"write \$\{NAME\}"),
        ("${A", r"write \$\{NAME\}"),
        ("${A-x}", r"write \$\{NAME\}"),
        ("${1A}", r"write \$\{NAME\}"),
        ("${A b}", r"write \$\{NAME\}"),
        ("${${A}}", r"write \$\{NAME\}"),
        ("${NONE:-${A}}", r"write \$\{NAME\}"),
        ("${file:}", r"write \$\{NAME\}"),
        ("${file:/nowhere/at/all}", "cannot read .*: No such file"),
        ("${file:/tmp/../etc/passwd}", r"'\.\.' is not allowed"),
        ("${file:../../etc/shadow}", r"'\.\.' is not allowed"),
        ("${file:/}", "cannot read .*: Is a directory"),
    ],
)
def test_what_cannot_be_filled_in_is_told(text, words):
    with pytest.raises(ValueError, match=words):
        resolve(text)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        ("gehëim".encode(), "gehëim"),
        (b"x" * 65_536, "x" * 65_536),
    ],
)
def test_a_file_is_read_without_its_last_line_end(tmp_path, content, value):
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert resolve(f"${{file:{path}}}") == value


@pytest.mark.parametrize(("content", "words"), [(b"\xff", "not UTF-8"), (b"x" * 65_537, "64 KiB")])
def test_a_file_that_is_no_small_text_is_refused(tmp_path, content, words):
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        resolve(f"${{file:{path}}}")


def test_a_secret_shows_itself_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PASSWORD", "canary-1")
    (tmp_path / "p").write_text("canary-2\n")
    secrets = [Secret.env("PASSWORD"), Secret.file(str(tmp_path / "p"))]
    assert [secret.reveal() for secret in secrets] == ["canary-1", "canary-2"]
    shown = f"{secrets[0]} {secrets[0]!r} {secrets} {secrets[1]!s:>5} {secrets[0].origin}"
    assert "canary" not in shown
    assert "***" in shown
    assert not hasattr(secrets[0], "__dict__")
    assert hash(Secret("a", "x")) == hash(Secret("b", "x"))


def test_secrets_are_equal_by_value_and_origin():
    assert Secret("a", "x") == Secret("a", "x")
    assert Secret("a", "x") != Secret("b", "x")
    assert Secret("a", "x") != Secret("a", "y")
    assert Secret("a", "x") != "a"


def test_a_template_is_text():
    assert Template("${A}") == "${A}"
    assert isinstance(Template("${A}"), str)
