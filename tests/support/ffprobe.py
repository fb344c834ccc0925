"""Functions that read videos with ffprobe and ffmpeg, which are independent of the libraries in client and mock."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.requirements import require

LIMIT = 120.0
"""Timeout in seconds for one video, including the decoding of all frames."""


def probe(video: Path | str, *, live: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the metadata of a video file or URL that contains one stream. Frames are counted by decoding them.

    The function blocks, so call it in a thread if the test's event loop serves the URL. With `live`, frames are not
    counted, because a live stream does not end. If ffprobe is not installed, the test is skipped or, in CI, fails.

    Returns:
        The objects `stream` and `format` of ffprobe's JSON output.
    """
    count = [] if live else ["-count_frames"]
    said = json.loads(_run("ffprobe", *count, "-show_streams", "-show_format", "-of", "json", str(video)))
    (stream,) = said["streams"]
    return stream, said["format"]


def save_stream(url: str, path: Path) -> None:
    """Copy a live HLS stream into a file, from its first segment to its end.

    The function blocks until the stream ends. If ffmpeg is not installed, the test is skipped or, in CI, fails.
    """
    _run("ffmpeg", "-nostdin", "-live_start_index", "0", "-i", url, "-c", "copy", str(path))


def _run(program: str, *arguments: str) -> str:
    require(None if shutil.which(program) else f"{program} is not installed")
    command: Sequence[str] = [program, "-v", "error", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (finished.returncode, finished.stderr) == (0, ""), (
        f"expected {program} to exit with 0 and print nothing on stderr, "
        f"got exit code {finished.returncode} and:\n{finished.stderr}"
    )
    return finished.stdout
