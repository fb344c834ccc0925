"""Tests of tables: aligned and escaped cells, colors on terminals, and the width of terminals."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from odyssey_client.terminal.tables import Columns, Fields, Part, text_of
from tests.support.terminals import Terminal, describe_terminal, without_escapes

JOBS = Columns(
    header=("JOB", "STATUS", "ERROR"),
    rows=[("a" * 36, "failed", "the streamer has rejected the prompt of the script"), ("b", "completed", None)],
    sentences=("ERROR",),
    styles={"failed": "red"},
)


def lines_of(*parts: Part) -> list[str]:
    return text_of(parts, io.StringIO()).splitlines()


def test_columns_are_aligned_and_cells_single_line() -> None:
    assert lines_of(Columns(header=("JOB", "ERROR"), rows=[("a", None), ("longer", "two\nlines")])) == [
        "JOB     ERROR",
        "a       -",
        "longer  two lines",
    ]


def test_fields_leave_out_missing_values() -> None:
    assert lines_of(Fields([("job", "a"), ("error", None), ("retry count", 0)])) == ["job          a", "retry count  0"]


def test_wide_characters_are_aligned() -> None:
    assert lines_of(Columns(header=("A", "B"), rows=[("猫", 1), ("cat", 2)])) == ["A    B", "猫   1", "cat  2"]


def test_control_characters_and_markup_are_shown_as_text() -> None:
    assert lines_of(Fields([("error", "a\x1b[2J [red]b[/red] :cat:")])) == [r"error  a\x1b[2J [red]b[/red] :cat:"]


def test_foreign_characters_are_escaped_before_alignment() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    text = text_of([Columns(header=("A", "B"), rows=[("猫", 1)])], stream)
    assert text.splitlines() == ["A       B", r"\u732b  1"]


def test_parts_are_separated_and_empty_parts_left_out() -> None:
    assert lines_of("", Fields([("a", 1)]), "", "below", Fields([])) == ["a  1", "", "below"]


def test_table_in_a_pipe_is_never_wrapped() -> None:
    line = lines_of(Fields([("url", "x" * 5000)]))
    assert line == [f"url  {'x' * 5000}"]


def test_terminal_has_colors() -> None:
    text = text_of([JOBS], Terminal())
    assert "\x1b[1mSTATUS" in text
    assert "\x1b[31mfailed\x1b[0m" in text
    assert without_escapes(text).split() == " ".join(lines_of(JOBS)).split()


def test_pipe_is_no_terminal_even_with_forced_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = text_of([JOBS], io.StringIO())
    assert ("\x1b" in text, len(text.splitlines())) == (False, 3), text


@pytest.mark.parametrize("name", ["NO_COLOR", "pipe"])
def test_colors_are_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1" if name == "NO_COLOR" else "")
    text = text_of([JOBS], Terminal() if name == "NO_COLOR" else io.StringIO())
    assert "\x1b[31m" not in text
    assert ("\x1b[1m" in text) == (name == "NO_COLOR"), "NO_COLOR removes colors, and keeps bold text"


def test_sentences_are_wrapped_on_narrow_terminal() -> None:
    describe = text_of([JOBS], Terminal())
    lines = [line.rstrip() for line in without_escapes(describe).splitlines()]
    indent = " " * 49
    assert lines == [
        f"JOB{' ' * 35}STATUS     ERROR",
        f"{'a' * 36}  failed     the streamer has rejected the",
        f"{indent}prompt of the script",
        f"b{' ' * 37}completed  -",
    ]


def test_ids_are_never_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch, columns=30)
    lines = without_escapes(text_of([JOBS, Fields([("url", "u" * 100)])], Terminal())).splitlines()
    assert lines[1].startswith("a" * 36 + "  failed     the streamer has")
    assert lines[-1] == f"url  {'u' * 100}"


CELL = st.one_of(st.none(), st.integers(), st.text(max_size=12))


@given(st.lists(st.tuples(CELL, CELL, st.text("ab", min_size=1, max_size=5)), max_size=5))
def test_last_column_is_aligned_in_each_row(rows: list[tuple[object, object, str]]) -> None:
    lines = lines_of(Columns(header=("A", "B", "C"), rows=rows))
    assert len(lines) == len(rows) + 1
    last = ["C", *(row[2] for row in rows)]
    starts = {cell_len(line) - len(end) for line, end in zip(lines, last, strict=True)}
    assert len(starts) == 1, f"expected aligned columns, got {lines}"
