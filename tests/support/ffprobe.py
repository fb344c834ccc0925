"""What ffprobe, which is none of ours, says of a video file."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIMIT = 120.0
"""Seconds for one file, all of its frames decoded."""


def probe(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:  # Any: as ffprobe writes it, most of it as text
    """The only stream of the file, its frames counted by decoding them; and the container.

    Skips the test where there is no ffprobe, except in CI.
    """
    if shutil.which("ffprobe") is None:
        reason = "ffprobe is not installed; run scripts/test-needs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    assert finished.stderr == "", "not a word of complaint"
    said = json.loads(finished.stdout)
    (stream,) = said["streams"]
    return stream, said["format"]
