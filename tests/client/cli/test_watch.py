"""Tests of the command `odyssey watch` against a live broadcast of the mock, mostly in a subprocess."""

import asyncio
import io
import json
import os
import re
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import av
import pytest

from odyssey_client import BroadcastInfo, MediaStream, Odyssey, PeerError, SystemClock
from odyssey_client.cli.playback import Playback
from odyssey_client.cli.progress import Progress
from odyssey_client.cli.service import Running, _attended
from odyssey_client.cli.watch import _Order, _watch
from odyssey_client.terminal.tables import text_of
from odyssey_mock import MockOdyssey
from tests.support.ffprobe import probe
from tests.support.served import served
from tests.support.terminals import terminal_environment, without_escapes

from .conftest import LIMIT, Run, document, names, started

TOKEN = "spectator-secret"

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))


async def broadcast(client: Odyssey) -> BroadcastInfo:
    """Connect the client and start a broadcast. When spectators can connect, return the broadcast's URLs and token."""
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    await client.connect(on_broadcast_ready=ready.set_result)
    await client.start_stream("A cat", broadcast=True)
    async with asyncio.timeout(LIMIT):
        return await ready


async def pass_frames(client: Odyssey, count: int) -> None:
    """Wait until the client, which hosts the broadcast, has received ``count`` more frames."""
    assert client.media_stream is not None
    reader = client.media_stream.frames(buffer=256)
    async with asyncio.timeout(LIMIT):
        for _ in range(count):
            await anext(reader)


@asynccontextmanager
async def watching(info: BroadcastInfo, *arguments: str | Path, **options: Any) -> AsyncIterator[subprocess.Popen[str]]:
    """Start `odyssey watch` for the broadcast `info`; yield the process when it is connected."""
    environment = {**terminal_environment(), "ODYSSEY_SPECTATOR_TOKEN": info.spectator_token}
    with started("watch", info.webrtc_url, *arguments, env=environment, **options) as process:
        try:
            if process.stderr is not None:
                # On a busy machine, a warning about ICE servers that did not answer in time may precede it.
                while (line := await asyncio.to_thread(process.stderr.readline)) != "Connected.\n":
                    assert line.startswith("no ICE servers from "), f"expected 'Connected.', got {line!r}"
            yield process
        finally:
            if process.poll() is None:
                process.kill()


async def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait until the process ends; return its exit code, and the unread rest of its standard output and error."""
    stdout, stderr = await asyncio.to_thread(process.communicate, timeout=LIMIT)
    return process.returncode, stdout, stderr


def count_frames(path: Path) -> int:
    video, _ = probe(path)
    assert video["codec_name"] == "h264"
    return int(video["nb_read_frames"])


async def test_watch_ends_with_broadcast_and_prints_statistics(odyssey_client: Odyssey, tmp_path: Path) -> None:
    info = await broadcast(odyssey_client)
    path = tmp_path / "cat.mp4"
    async with watching(info, "--save", path, "--json") as process:
        await pass_frames(odyssey_client, 30)
        await odyssey_client.end_stream()
        code, stdout, stderr = await ended(process)
    told = json.loads(stdout)
    frames, first, last = told["frames"], told["stamps"]["first"], told["stamps"]["last"]
    assert (code, told["ended_by"], told["width"], told["height"]) == (0, "broadcast", 176, 320)
    assert (told["stamps"]["missing"], last - first + 1) == (0, frames)
    assert frames >= 20
    assert told["fps"] == pytest.approx(frames / told["seconds"], rel=0.01)
    assert told["saved"] == {"path": str(path), "frames": frames, "dropped": 0}
    assert count_frames(path) == frames
    (line,) = stderr.splitlines()
    assert line.startswith(f"{frames} frames, ")
    assert line.endswith(" ms, 0 missing, 176x320")
    assert names(tmp_path) == ["cat.mp4"]


async def test_seconds_option_limits_the_time(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    info = await broadcast(odyssey_client)
    result = await run("watch", info.webrtc_url, "--token", info.spectator_token, "--seconds", "1")
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert (result.exit_code, list(lines)) == (0, ["frames", "stamps", "duration", "fps", "size", "ended"])
    assert int(lines["frames"]) >= 5
    assert (lines["duration"], lines["size"], lines["ended"]) == ("1.0 s", "176x320", "at the time limit")
    (live,) = odyssey_mock.broadcasts.values()
    await odyssey_mock.wait_for("state", "spectator", to="gone")
    assert not live.spectators
    assert info.spectator_token not in result.output


async def test_one_line_is_redrawn_on_terminal(odyssey_client: Odyssey) -> None:
    info = await broadcast(odyssey_client)
    leader, follower = os.openpty()

    def read_all() -> str:
        seen = b""
        # Reading fails once the other end of the terminal is closed.
        with os.fdopen(leader, "rb", buffering=0) as screen, suppress(OSError):
            while chunk := screen.read(4096):
                seen += chunk
        return seen.decode().replace("\r\n", "\n")

    async with watching(info, "--seconds", "1.5", stderr=follower) as process:
        os.close(follower)
        screen = await asyncio.to_thread(read_all)
        code, stdout, _ = await ended(process)
    *drawn, rest = (without_escapes(text).rstrip() for text in re.split(r"[\r\n]+", screen))
    assert (code, rest, "Connected." in drawn) == (0, "", True), f"the terminal shows {screen!r}"
    lines = [found[1] for text in drawn if (found := re.fullmatch(r"[━╺╸]+  (\d+ frames?, .*)", text))]
    assert 4 <= len(lines) <= 8
    counts = [int(line.split()[0]) for line in lines]
    assert counts == sorted(counts)
    assert f"frames    {counts[-1]}\n" in stdout
    for text in lines[1:]:
        assert " fps, age " in text
        assert text.endswith(" ms, 0 missing, 176x320")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_interrupted_recording_is_playable(
    signum: signal.Signals, code: int, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    info = await broadcast(odyssey_client)
    path = tmp_path / "cat.mp4"
    path.write_bytes(b"an old film")
    async with watching(info, "--save", path, "--overwrite", "--json") as process:
        await pass_frames(odyssey_client, 20)
        process.send_signal(signum)
        got, stdout, stderr = await ended(process)
    told = json.loads(stdout)
    assert (got, told["error"]["code"], told["ended_by"]) == (code, "interrupted", "signal")
    assert stderr.splitlines()[-1] == "Interrupted."
    assert told["frames"] == told["saved"]["frames"] == count_frames(path) >= 10
    assert names(tmp_path) == ["cat.mp4"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="requires prlimit (Linux)")
@pytest.mark.odyssey(portrait_size=(704, 1280))  # large frames soon fill the buffer of the writer
async def test_full_disk_ends_watch_and_leaves_no_file(odyssey_client: Odyssey, tmp_path: Path) -> None:
    info = await broadcast(odyssey_client)
    path = tmp_path / "cat.mp4"
    async with watching(info, "--save", path, "--json") as process:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
        code, stdout, stderr = await ended(process)
    told = json.loads(stdout)
    assert (code, told["error"]["code"], told["ended_by"], told["saved"]) == (1, "cannot_write", "error", None)
    assert told["frames"] > 0
    assert stderr.splitlines()[-1] == f"Error: Cannot write {path}: File too large. Choose another path with --save."
    assert names(tmp_path) == []


async def test_rejected_token_and_ended_broadcast_are_errors(odyssey_client: Odyssey, run: Run, tmp_path: Path) -> None:
    info = await broadcast(odyssey_client)
    path = tmp_path / "cat.mp4"
    refused = await run("watch", info.webrtc_url, "--token", TOKEN, "--save", path, "--json")
    assert (refused.exit_code, document(refused)["error"]["code"]) == (1, "invalid_spectator_token")
    assert list(document(refused)) == ["error"]
    await odyssey_client.end_stream()
    over = await run("watch", info.webrtc_url, "--token", info.spectator_token)
    assert (over.exit_code, over.stdout) == (1, "")
    assert over.stderr.startswith("Error: There is no such broadcast")
    assert TOKEN not in refused.output
    assert info.spectator_token not in over.output
    assert names(tmp_path) == []


async def test_time_limit_applies_without_frames() -> None:
    playback = Playback(
        MediaStream(),
        save=None,
        seconds=0.2,
        ends_with="broadcast",
        progress=Progress(io.StringIO()),
        clock=SystemClock(),
    )
    async with playback.recording():
        await playback.run()
    told = playback.document()
    assert (told["frames"], told["ended_by"], told["fps"]) == (0, "seconds", 0.0)
    assert told["seconds"] == pytest.approx(0.2, abs=1)


@pytest.mark.parametrize("stopped_in_block", [False, True])
async def test_stopped_run_counts_the_frames_before_it(stopped_in_block: bool) -> None:
    video = MediaStream()
    playback = Playback(
        video,
        save=None,
        seconds=None,
        ends_with="service",
        progress=Progress(io.StringIO()),
        clock=SystemClock(),
    )
    if not stopped_in_block:
        playback.stop("service")
    async with asyncio.timeout(LIMIT), playback.recording():
        video.push(av.VideoFrame(16, 16))
        playback.stop("service")
        await playback.run()
    assert (playback.ended_by, playback.document()["frames"]) == ("service", int(stopped_in_block))


async def test_closed_stderr_ends_watch_and_keeps_recording(odyssey_client: Odyssey, tmp_path: Path) -> None:
    info = await broadcast(odyssey_client)
    path = tmp_path / "cat.mp4"
    async with watching(info, "--save", path, "--json") as process:
        assert process.stderr is not None
        process.stderr.close()
        await pass_frames(odyssey_client, 10)
        await odyssey_client.end_stream()
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.read) == ""
        assert await asyncio.to_thread(process.wait, LIMIT) == 1
    assert count_frames(path) > 0


class Screen(io.StringIO):
    """A fake terminal that sets `stands_still` when the command prints a frame rate of 0."""

    def __init__(self) -> None:
        super().__init__()
        self.stands_still = asyncio.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if " 0 fps, age " in text:
            self.stands_still.set()
        return super().write(text)


class Impatient(SystemClock):
    """A clock whose `sleep` waits until the test sets `frozen`, and then 0.3 s more."""

    def __init__(self) -> None:
        self.frozen = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.frozen.wait()
        await super().sleep(0.3)


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run `odyssey-mock serve`; yield the process and its ready message (URL, API key)."""
    with served("--portrait-size", "176", "320") as server:
        yield server


async def test_lost_broadcast_is_an_error_and_keeps_recording(
    server: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    process, ready = server
    path, clock, screen = tmp_path / "cat.mp4", Impatient(), Screen()
    async with Odyssey(ready["api_key"], api_url=ready["url"]) as client:
        info = await broadcast(client)
        order = _Order(info.webrtc_url, info.spectator_token, path, overwrite=False, seconds=None)
        running = Running(Progress(screen))
        watch = asyncio.create_task(_attended(running, lambda running: _watch(running, order, clock)))
        await pass_frames(client, 30)
        process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(15):  # ICE detects the loss after 30 s, which is too late for this test
            await screen.stands_still.wait()
            clock.frozen.set()
            answer = await watch
        process.send_signal(signal.SIGCONT)
    (error,) = answer.errors
    assert isinstance(error, PeerError)
    assert answer.document["ended_by"] == "error"
    assert "ended     by an error" in text_of(answer.parts, io.StringIO())
    frames = count_frames(path)
    assert answer.document["saved"] == {"path": str(path), "frames": frames, "dropped": 0}
    assert answer.document["frames"] == frames > 0
