"""Tests of the bar that a terminal shows: its parts, its width, and how often it is redrawn."""

import errno
import io
import re

import pytest

from odyssey_client.terminal.progress import REDRAW_S, ProgressBar
from tests.support.terminals import Terminal, without_escapes


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bar_is_followed_by_state_and_label() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal)
    bar.bar("1 of 2", "cats", 0.5)
    bar.end()
    assert terminal.screen == [f"{'━' * 10}╺{'━' * 9} 1 of 2 cats", ""]


@pytest.mark.parametrize(("part", "cells"), [(0.0, 0), (0.5, 10), (1.0, 20)])
def test_part_that_is_done_has_another_color(part: float, cells: int) -> None:
    terminal = Terminal()
    ProgressBar(terminal).bar("state", "label", part)
    rest = "".join(re.findall(r"\x1b\[38;5;237m([━╸╺]+)", terminal.getvalue()))
    assert len(rest) == 20 - cells, f"expected {20 - cells} cells in the color of the rest, got {terminal.getvalue()!r}"


def test_unknown_part_and_line_without_bar() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal)
    bar.bar("500 bytes", "video", None)
    bar.end()
    bar.line("9 frames")
    bar.line("10 frames")
    bar.end()
    assert terminal.screen == [f"{'━' * 20} 500 bytes video", "10 frames", ""]


def test_number_of_redraws_is_limited() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, now=clock)
    for count in range(50):
        bar.bar(f"{count} kB", "video", count / 50)
        clock.now += REDRAW_S / 10
    assert len(terminal.drawn) == 5
    bar.end()
    assert terminal.screen[0].endswith(" 49 kB video")


def test_urgent_state_is_drawn_at_once() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal, now=Clock())
    bar.bar("pending", "job", 0.0)
    bar.bar("completed", "job", 1.0, at_once=True)
    assert terminal.screen == [f"{'━' * 20} completed job"]


@pytest.mark.parametrize("columns", [10, 30, 50, 80])
def test_line_fits_in_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    bar = ProgressBar(terminal, tells_remaining=True)
    bar.bar("500 bytes", "x" * 300, 0.5)
    bar.end()
    bar.line("y" * 300)
    bar.end()
    first, second, _ = terminal.screen
    assert len(first) <= columns
    assert second == "y" * columns
    assert "500 bytes" in first


def test_only_roomy_terminal_shows_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, is_shown in ((80, True), (60, False)):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal, clock = Terminal(), Clock()
        bar = ProgressBar(terminal, tells_remaining=True, now=clock)
        for count in range(5):
            bar.bar(f"{count}", "seeds", count / 10)
            clock.now += 1
        bar.end()
        assert ("0:00:06" in terminal.screen[0]) == is_shown, f"{columns} columns show {terminal.screen[0]!r}"


def test_colors_are_left_out_if_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    ProgressBar(terminal).bar("state", "label", 0.5)
    assert re.findall(r"\x1b\[[0-9;]*m", terminal.getvalue()) == []
    assert "state label" in without_escapes(terminal.getvalue())


def test_nothing_is_shown_without_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    for bar in (ProgressBar(stream), ProgressBar(None)):
        bar.bar("state", "label", 0.5)
        bar.line("line")
        bar.end()
        assert not bar.is_shown
    assert stream.getvalue() == ""


def test_terminal_that_cannot_redraw_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    bar = ProgressBar(terminal)
    bar.bar("state", "label", 0.5)
    bar.end()
    assert (bar.is_shown, terminal.getvalue()) == (False, "")


def test_control_characters_and_foreign_characters_are_escaped() -> None:
    class Ascii(Terminal):
        encoding = "ascii"

    terminal = Ascii()
    bar = ProgressBar(terminal)
    bar.bar("a\x1b[2J", "猫 [red]x[/red]", 0.5)
    bar.end()
    assert terminal.getvalue().isascii()
    assert terminal.screen[0].endswith(r"- a\x1b[2J \u732b [red]x[/red]")


class Breaking(Terminal):
    """A terminal that raises an error at each write once the test has set one."""

    error: OSError | None = None

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


def test_closed_terminal_ends_the_progress_only() -> None:
    terminal = Breaking()
    bar = ProgressBar(terminal)
    bar.bar("state", "label", 0.5)
    terminal.error = OSError(errno.EIO, "Input/output error")
    for count in range(3):
        bar.bar(str(count), "label", 0.5, at_once=True)
    bar.end()
    assert not bar.is_shown


def test_broken_pipe_is_raised() -> None:
    terminal = Breaking()
    bar = ProgressBar(terminal)
    bar.bar("state", "label", 0.5)
    terminal.error = BrokenPipeError()
    with pytest.raises(BrokenPipeError):
        bar.bar("state", "label", 0.6, at_once=True)
