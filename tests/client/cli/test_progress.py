"""Tests of the progress output of commands: a bar on a terminal, and one line per change elsewhere."""

import io

import pytest

from odyssey_client.cli.progress import Progress
from tests.support.terminals import Terminal, describe_terminal


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch)


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


def test_terminal_shows_bar_for_job_and_file() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.job("job-1", "processing", 0, 2)
    progress.job("job-1", "completed", 2, 2)
    progress.end()
    progress.file("video", 500, 2000)
    progress.file("video", 2000, 2000)
    progress.end()
    progress.end()
    bar = "━" * 20
    assert terminal.screen == [
        f"{bar} completed, 2 of 2 streams done Simulation job-1",
        f"{bar} 2.0 kB of 2.0 kB video",
        "",
    ]


def test_live_line_is_redrawn_only_on_terminal() -> None:
    terminal, stream = Terminal(), io.StringIO()
    for out in (terminal, stream):
        progress = Progress(out)
        for line in ("9 frames, age 1000 ms", "10 frames", "10 frames"):
            progress.live(line)
        progress.end()
    assert terminal.screen == ["10 frames", ""]
    assert stream.getvalue().splitlines() == ["9 frames, age 1000 ms", "10 frames", "10 frames"]


def test_part_of_live_line_is_a_bar() -> None:
    terminal, stream = Terminal(), io.StringIO()
    for out in (terminal, stream):
        progress = Progress(out)
        progress.live("Connecting.")
        progress.note("Stream 1")
        progress.live("9 frames", 0.5)
        progress.note("1 s: Pet it")
        progress.live("20 frames", 1.0)
        progress.end()
    assert terminal.screen == [
        "Connecting.",
        "Stream 1",
        f"{'━' * 10}╺{'━' * 9}  9 frames",
        "1 s: Pet it",
        f"{'━' * 20}  20 frames",
        "",
    ]
    assert stream.getvalue().splitlines() == ["Connecting.", "Stream 1", "9 frames", "1 s: Pet it", "20 frames"]


def test_live_updates_are_more_frequent_on_terminal() -> None:
    assert Progress(Terminal()).live_s == 0.25
    assert Progress(io.StringIO()).live_s == 10


def test_closed_stderr_raises_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    progress = Progress()
    progress.job("job-1", "pending", 0, 1)
    progress.file("video", 500, 2000)
    progress.live("1 frame")
    progress.end()
