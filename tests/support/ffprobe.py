"""What ffprobe and ffmpeg, which are none of ours, say of a video: a file, or an address."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

LIMIT = 120.0
"""Seconds for one video, all of its frames decoded."""


def probe(video: Path | str, *, live: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only stream of a file or an address, its frames counted by decoding them; and the container.

    Blocks: in a test whose loop serves the address, call it in a thread. With `live` no frames are counted, as they
    have no end. Skips the test where there is no ffprobe, except in CI.

    Returns:
        Both as ffprobe writes them, most of it as text: hence Any.
    """
    count = [] if live else ["-count_frames"]
    said = json.loads(_run("ffprobe", *count, "-show_streams", "-show_format", "-of", "json", str(video)))
    (stream,) = said["streams"]
    return stream, said["format"]


def save_stream(url: str, path: Path) -> None:
    """Copy a live playlist into a file, from its first segment until it ends. Blocks, and skips, as `probe` does."""
    _run("ffmpeg", "-nostdin", "-live_start_index", "0", "-i", url, "-c", "copy", str(path))


def _run(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        reason = f"{program} is not installed; run scripts/test-needs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    command: Sequence[str] = [program, "-v", "error", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (finished.returncode, finished.stderr) == (0, ""), "not a word of complaint"
    return finished.stdout
