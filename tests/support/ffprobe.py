"""Functions that read a video file or URL with ffprobe and ffmpeg, as decoders independent of both packages."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

LIMIT = 120.0
"""Timeout in seconds for one video, including the decoding of all frames."""


def probe(video: Path | str, *, live: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Probe a file or a URL that has one stream; count its frames by decoding them.

    The function blocks, so call it in a thread if the test's event loop serves the URL. With `live`, frames are not
    counted, because a live stream does not end. Skips the test if ffprobe is not installed; in CI, fails it.

    Returns:
        The stream and the container as ffprobe prints them. Most values are text, hence Any.
    """
    count = [] if live else ["-count_frames"]
    said = json.loads(_run("ffprobe", *count, "-show_streams", "-show_format", "-of", "json", str(video)))
    (stream,) = said["streams"]
    return stream, said["format"]


def save_stream(url: str, path: Path) -> None:
    """Copy a live HLS stream into a file, from its first segment to its end.

    The function blocks. If ffmpeg is not installed, it skips the test; in CI, it fails the test.
    """
    _run("ffmpeg", "-nostdin", "-live_start_index", "0", "-i", url, "-c", "copy", str(path))


def _run(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        reason = f"{program} is not installed; run scripts/test-needs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    command: Sequence[str] = [program, "-v", "error", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (finished.returncode, finished.stderr) == (0, ""), "expected exit code 0 and nothing on stderr"
    return finished.stdout
