"""Runs the scenarios of `program.py` with an installed SDK, and checks their results and the mock's records."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp

PROGRAM = Path(__file__).with_name("program.py")
LIMIT_S = 120.0
PORTRAIT = (176, 320)
LANDSCAPE = (320, 176)
"""Sizes of the frames as (width, height), which the mocks of the tests must have."""

type Result = Mapping[str, Any]  # Any: JSON that the program prints


@dataclass(frozen=True)
class Sdk:
    """A Python SDK: the interpreter that runs it, and the folder of its package, or None if it is installed."""

    python: Path
    folder: Path | None = None

    @classmethod
    def at(cls, path: Path) -> "Sdk":
        """Return the SDK of a virtual environment, or the one in a folder that contains the package `odyssey`."""
        if (path / "bin" / "python").exists():
            return cls(path / "bin" / "python")
        assert (path / "odyssey").is_dir(), (
            f"ODYSSEY_OFFICIAL_PYTHON: expected a virtual environment or a folder with the package odyssey, got {path}"
        )
        return cls(Path(sys.executable), path)

    async def play(self, names: Sequence[str], mock: MockOdyssey, frames: Path) -> Mapping[str, Result]:
        """Run scenarios in one process; return the results by name. Saved frames are in the folder `frames`.

        Raises:
            AssertionError: the process failed, or a scenario raised an error.
        """
        environment = {**os.environ, "ODYSSEY_API_URL": mock.url, "ODYSSEY_API_KEY": mock.api_key}
        if self.folder is not None:
            environment["PYTHONPATH"] = os.pathsep.join([str(self.folder), environment.get("PYTHONPATH", "")])
        process = await asyncio.create_subprocess_exec(
            *(str(self.python), str(PROGRAM), str(frames), *names),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"expected exit status 0, got {process.returncode}:\n{errors.decode()}"
        played = {line["scenario"]: line for line in map(json.loads, output.decode().splitlines())}
        assert list(played) == list(names), f"expected results of {list(names)}, got {output.decode()}"
        failed = {name: line["error"] for name, line in played.items() if "error" in line}
        assert not failed, f"expected no errors in scenarios, got {failed}\n{errors.decode()}"
        return {name: line["result"] for name, line in played.items()}


def check_live_session(result: Result, mock: MockOdyssey) -> None:
    stream = mock.streams[result["stream_id"]]
    started, changed = (_stamp(result[name], PORTRAIT) for name in ("started", "changed"))
    assert (started.prompt_revision, changed.prompt_revision) == (0, 1)
    assert started.stream_tag == changed.stream_tag == stream.timeline.tag
    assert "Pet the cat" in result["applied"]
    assert result["called"] == ["connected", "stream_started", "interact_acknowledged", "stream_ended"]
    mock.expect("interactive_stream_end", stream=result["stream_id"])
    mock.expect("client_disconnecting", session=mock.expect("stream_started", stream=result["stream_id"]).session)


def check_landscape(result: Result, mock: MockOdyssey) -> None:
    first, second = (mock.streams[stream_id] for stream_id in result["stream_ids"])
    assert first.timeline.tag != second.timeline.tag
    assert _stamp(result["frame"], LANDSCAPE).stream_tag == second.timeline.tag


def check_broadcast(result: Result, mock: MockOdyssey) -> None:
    live = mock.broadcasts[result["stream_id"]]
    assert result["urls"] == [live.webrtc_url, live.token, live.hls_url]


def check_credentials(result: Result, mock: MockOdyssey) -> None:
    mock.expect("stream_started", session=result["session_id"], stream=result["stream_id"])


def check_recording(result: Result, mock: MockOdyssey) -> None:
    assert result["found"] == result["newest"] == result["stream_id"]
    assert result["frame_count"] == mock.streams[result["stream_id"]].timeline.frames
    assert f"/{result['stream_id']}/video.mp4" in result["video_url"]


def check_simulation(result: Result, mock: MockOdyssey) -> None:
    job = mock.jobs[result["job_id"]]
    assert result["streams"] == [[stream.stream_id, 20] for stream in job.streams]
    assert result["newest"] == result["job_id"]


def check_invalid_key(result: Result, mock: MockOdyssey) -> None:
    assert "OdysseyAuthError" in result["bases"]
    assert "Invalid API key" in result["text"]


def check_concurrent_limit(result: Result, mock: MockOdyssey) -> None:
    assert "Maximum concurrent sessions (5) reached" in result["text"]


def check_refused_start(result: Result, mock: MockOdyssey) -> None:
    assert "quota_exceeded" in json.dumps([result["error"], result["handled"]])
    assert result["stream_id"] in mock.streams


CHECKS: Mapping[str, Callable[[Result, MockOdyssey], None]] = MappingProxyType(
    {
        "live_session": check_live_session,
        "landscape": check_landscape,
        "broadcast": check_broadcast,
        "credentials": check_credentials,
        "recording": check_recording,
        "simulation": check_simulation,
        "invalid_key": check_invalid_key,
        "concurrent_limit": check_concurrent_limit,
        "refused_start": check_refused_start,
    }
)
"""For each scenario of `program.py`, the function that checks its result and the mock's records."""


def _stamp(file: str, size: tuple[int, int]) -> FrameStamp:
    pixels = np.load(file)
    height, width, channels = pixels.shape
    assert (pixels.dtype, channels, (width, height)) == (np.uint8, 3, size)
    stamp = read_stamp(pixels)
    assert stamp is not None, f"expected a readable stamp in the saved frame {file}, got none"
    return stamp
