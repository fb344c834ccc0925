"""`odyssey-mock demo`: the main job by its command, and what it leaves."""

import json
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from PIL import Image

from odyssey_mock import read_stamp

COMMAND = (sys.executable, "-c", "from odyssey_mock.cli import main; main()", "demo")
PROMISED = 15.0
"""Seconds from the command's start to its end; it takes about 9."""
RUNS = 3
"""Other tests run on the same cores: the best run counts."""

# One worker, so one run for all.
pytestmark = pytest.mark.xdist_group("demo")


def run_in(directory: Path) -> tuple[float, str]:
    """The seconds it took, and what it said."""
    began = time.perf_counter()
    demo = subprocess.run(COMMAND, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    took = time.perf_counter() - began
    assert demo.returncode == 0, demo.stderr
    return took, demo.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What it left, and what it said."""
    directory = tmp_path_factory.mktemp("demo")
    _, said = run_in(directory)
    return directory / "odyssey-demo", said


def test_it_is_done_in_time(tmp_path: Path) -> None:
    assert any(run_in(tmp_path)[0] < PROMISED for _ in range(RUNS))


def test_it_says_what_it_does_in_order(finished: tuple[Path, str]) -> None:
    _, said = finished
    steps = [line.split()[0] for line in said.splitlines() if not line.startswith((" ", "status"))]

    one_by_one = ["mock", "connected", "started", "interact", "interact", "ended", "journal", "frames"]
    assert steps == [*one_by_one, "wrote", "wrote", "wrote"]
    assert " 0 missing" in said


def test_the_film_shows_every_frame_of_the_stream(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    with av.open(str(directory / "stream.mp4")) as film:
        stamps = [read_stamp(frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]

    shown = [stamp for stamp in stamps if stamp is not None and stamp.stream_tag is not None]
    assert [stamp.frame_index for stamp in shown] == list(range(len(shown)))
    assert {stamp.prompt_revision for stamp in shown} == {0, 1, 2}


def test_the_contact_sheet_has_a_row_for_each_interaction(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    with Image.open(directory / "contact-sheet.png") as sheet:
        # Two rows of eight portrait thumbnails, 200 pixels wide.
        assert sheet.width > 8 * 200
        assert sheet.height > 2 * 200 * 1280 / 704


def test_the_journal_tells_the_session(finished: tuple[Path, str]) -> None:
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
