"""Tests of the progress output: a bar on a terminal, and one line per change elsewhere."""

import io
import os
import termios

import pytest

from odyssey_client.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(terminal: io.StringIO) -> list[str]:
    """Return the lines that a terminal would show. Text after a carriage return overwrites the line from its start."""
    lines = []
    for line in terminal.getvalue().split("\n"):
        cells: list[str] = []
        for drawn in line.split("\r"):
            cells[: len(drawn)] = drawn
        lines.append("".join(cells).rstrip())
    return lines


def test_each_change_is_a_line_without_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for status, done in [("pending", 0), ("pending", 0), ("processing", 0), ("processing", 1), ("completed", 2)]:
        progress.job("job-1", status, done, 2)
    progress.file("video of s", 1000, 2000)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "Simulation job-1: pending, 0 of 2 streams done",
        "Simulation job-1: processing, 0 of 2 streams done",
        "Simulation job-1: processing, 1 of 2 streams done",
        "Simulation job-1: completed, 2 of 2 streams done",
    ]


def test_bar_is_redrawn_on_terminal() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.job("job-1", "processing", 0, 2)
    assert on_screen(terminal) == [f"[{'.' * 24}] processing, 0 of 2 streams done  Simulation job-1"]
    progress.job("job-1", "completed", 2, 2)
    progress.end()
    progress.file("video", 500, 2000)
    progress.file("video", 2000, 2000)
    progress.end()
    progress.end()
    assert on_screen(terminal) == [
        f"[{'#' * 24}] completed, 2 of 2 streams done  Simulation job-1",
        f"[{'#' * 24}] 2.0 kB of 2.0 kB  video",
        "",
    ]


def test_quarter_of_file_fills_quarter_of_bar() -> None:
    terminal = Terminal()
    Progress(terminal).file("video", 500, 2000)
    assert terminal.getvalue().count("#") == 6


def test_bar_is_empty_for_unknown_size() -> None:
    terminal = Terminal()
    Progress(terminal).file("video", 500, None)
    assert on_screen(terminal) == [f"[{'.' * 24}] 500 bytes  video"]


def test_line_is_cut_to_terminal_width() -> None:
    terminal = Terminal()
    Progress(terminal).job("x" * 300, "processing", 0, 1)
    assert len(on_screen(terminal)[0]) == 79


def test_width_is_taken_from_own_terminal() -> None:
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, 40))
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w") as terminal:
        Progress(terminal).job("x" * 300, "processing", 0, 1)
        assert len(screen.read(4096).strip(b"\r")) == 39


def test_redraw_fits_terminal_that_became_narrower() -> None:
    leader, follower = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w") as terminal:
        progress = Progress(terminal)
        termios.tcsetwinsize(follower, (24, 60))
        progress.live("x" * 55)
        assert len(screen.read(4096)) == 1 + 55
        termios.tcsetwinsize(follower, (24, 40))
        progress.live("short")
        assert screen.read(4096) == b"\r" + b"short".ljust(39)


def test_live_line_is_redrawn_only_on_terminal() -> None:
    terminal, stream = Terminal(), io.StringIO()
    for out in (terminal, stream):
        progress = Progress(out)
        for line in ("9 frames, age 1000 ms", "10 frames", "10 frames"):
            progress.live(line)
        progress.end()
    assert on_screen(terminal) == ["10 frames", ""]
    assert stream.getvalue().splitlines() == ["9 frames, age 1000 ms", "10 frames", "10 frames"]


def test_live_updates_are_more_frequent_on_terminal() -> None:
    assert Progress(Terminal()).live_s == 0.25
    assert Progress(io.StringIO()).live_s == 10


def test_closed_stderr_raises_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    progress = Progress()
    progress.job("job-1", "pending", 0, 1)
    progress.live("1 frame")
    progress.end()
