"""A bar on a terminal, lines elsewhere."""

import io
import os
import termios

import pytest

from odyssey_client.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(terminal: io.StringIO) -> list[str]:
    """What is to be seen: a carriage return goes back to the beginning of the line."""
    lines = []
    for line in terminal.getvalue().split("\n"):
        cells: list[str] = []
        for drawn in line.split("\r"):
            cells[: len(drawn)] = drawn
        lines.append("".join(cells).rstrip())
    return lines


def test_without_a_terminal_there_is_a_line_for_each_change() -> None:
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


def test_on_a_terminal_a_bar_is_drawn_over() -> None:
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


def test_a_quarter_fills_a_quarter() -> None:
    terminal = Terminal()
    Progress(terminal).file("video", 500, 2000)
    assert terminal.getvalue().count("#") == 6


def test_a_size_that_is_not_known_draws_no_bar_of_it() -> None:
    terminal = Terminal()
    Progress(terminal).file("video", 500, None)
    assert on_screen(terminal) == [f"[{'.' * 24}] 500 bytes  video"]


def test_no_line_is_wider_than_the_terminal() -> None:
    terminal = Terminal()
    Progress(terminal).job("x" * 300, "processing", 0, 1)
    assert len(on_screen(terminal)[0]) == 79


def test_the_width_is_that_of_the_terminal_drawn_on() -> None:
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, 40))
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w") as terminal:
        Progress(terminal).job("x" * 300, "processing", 0, 1)
        assert len(screen.read(4096).strip(b"\r")) == 39


def test_on_a_terminal_that_became_narrower_what_is_drawn_over_takes_one_line_all_the_same() -> None:
    leader, follower = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w") as terminal:
        progress = Progress(terminal)
        termios.tcsetwinsize(follower, (24, 60))
        progress.live("x" * 55)
        assert len(screen.read(4096)) == 1 + 55
        termios.tcsetwinsize(follower, (24, 40))
        progress.live("short")
        assert screen.read(4096) == b"\r" + b"short".ljust(39)


def test_what_goes_on_is_drawn_over_on_a_terminal_and_a_line_each_time_elsewhere() -> None:
    terminal, stream = Terminal(), io.StringIO()
    for out in (terminal, stream):
        progress = Progress(out)
        for line in ("9 frames, age 1000 ms", "10 frames", "10 frames"):
            progress.live(line)
        progress.end()
    assert on_screen(terminal) == ["10 frames", ""]
    assert stream.getvalue().splitlines() == ["9 frames, age 1000 ms", "10 frames", "10 frames"]


def test_on_a_terminal_one_looks_several_times_a_second_and_elsewhere_seldom() -> None:
    assert Progress(Terminal()).live_s == 0.25
    assert Progress(io.StringIO()).live_s == 10


def test_a_standard_error_that_is_closed_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    progress = Progress()
    progress.job("job-1", "pending", 0, 1)
    progress.live("1 frame")
    progress.end()
