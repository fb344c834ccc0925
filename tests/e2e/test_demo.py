"""Tests of `odyssey-mock demo`: its duration, its output, and the files that it writes."""

import json
import time
from pathlib import Path

import av
import pytest
from PIL import Image

from odyssey_mock import read_stamp
from tests.support.forks import run_python

COMMAND = ("-c", "from odyssey_mock.cli import main; main()", "demo")
PROMISED = 15.0
"""Maximum duration of `odyssey-mock demo` in seconds. It usually takes 9 s."""
RUNS = 3
"""Maximum number of runs. One of them must be fast enough; other tests on the same cores may slow down the others."""


def run_in(directory: Path) -> tuple[float, str]:
    """Run `odyssey-mock demo` in a folder; return its duration in seconds and its standard output."""
    began = time.perf_counter()
    demo = run_python(*COMMAND, cwd=directory, limit_s=60)
    took = time.perf_counter() - began
    assert demo.returncode == 0, f"expected exit code 0, got {demo.returncode} with this error output:\n{demo.stderr}"
    return took, demo.stdout


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, str]:
    """Run `odyssey-mock demo` once; return the folder of its files, its duration in seconds, and its output."""
    directory = tmp_path_factory.mktemp("demo")
    took, said = run_in(directory)
    return directory / "odyssey-demo", took, said


@pytest.fixture
def finished(timed: tuple[Path, float, str]) -> tuple[Path, str]:
    """Return the folder with the files of `odyssey-mock demo`, and its standard output."""
    directory, _, said = timed
    return directory, said


def test_demo_finishes_in_time(timed: tuple[Path, float, str], tmp_path: Path) -> None:
    _, took, _ = timed
    assert took < PROMISED or any(run_in(tmp_path)[0] < PROMISED for _ in range(RUNS - 1))


def test_demo_prints_its_steps_in_order(finished: tuple[Path, str]) -> None:
    _, said = finished
    steps = [line.split()[0] for line in said.splitlines() if not line.startswith((" ", "status"))]

    one_by_one = ["mock", "connected", "started", "interact", "interact", "ended", "journal", "frames"]
    assert steps == [*one_by_one, "wrote", "wrote", "wrote"]
    assert " 0 missing" in said


def test_demo_video_has_every_frame(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    with av.open(str(directory / "stream.mp4")) as film:
        stamps = [read_stamp(frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]

    shown = [stamp for stamp in stamps if stamp is not None and stamp.stream_tag is not None]
    assert [stamp.frame_index for stamp in shown] == list(range(len(shown)))
    assert {stamp.prompt_revision for stamp in shown} == {0, 1, 2}


def test_contact_sheet_has_row_for_each_interaction(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    with Image.open(directory / "contact-sheet.png") as sheet:
        # Two rows of eight portrait thumbnails, 200 pixels wide.
        assert sheet.width > 8 * 200
        assert sheet.height > 2 * 200 * 1280 / 704


def test_demo_journal_has_all_channel_messages(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    entries = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]

    on_channels = [entry["name"] for entry in entries if entry["kind"] == "channel"]
    assert on_channels == [
        "interactive_stream_start",
        "stream_started",
        *("update", "update_acknowledged") * 2,
        "interactive_stream_end",
        "stream_ended",
    ]
