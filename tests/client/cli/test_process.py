"""Tests of the command `odyssey` in a subprocess: terminals, pipes and signals."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.support.breaking_line import breaking_line
from tests.support.served import served
from tests.support.terminals import screen_of, terminal_environment
from tests.support.tls_contexts import NO_CERTIFICATES

from .conftest import CAT, LIMIT, names, script_file, started

SCRIPT = Path(__file__).parents[3] / "fixtures" / "scripts" / "cat.json"
SOON = ("--poll-interval", "0.05")


class Server:
    """A running `odyssey-mock serve` with a manual clock."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.url: str = ready["url"]
        self.environment = {
            **terminal_environment(),
            "ODYSSEY_API_URL": self.url,
            "ODYSSEY_API_KEY": ready["api_key"],
        }

    def advance(self) -> None:
        """Advance the mock's clock by 60 s, which ends all simulation jobs."""
        answer = httpx.post(
            f"{self.url}/_mock/clock/advance", json={"seconds": 60}, trust_env=False, verify=NO_CERTIFICATES
        )
        answer.raise_for_status()

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        return started(*arguments, env=self.environment, **options)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served("--clock", "manual", "--portrait-size", "176", "320") as (_, ready):
        yield Server(ready)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_script_is_run_and_its_video_downloaded(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with server.start("simulate", SCRIPT, "--wait", "--download", out, *SOON) as process:
        assert "pending, 0 of 1 stream done" in first_line(process)
        server.advance()
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert "completed, 1 of 1 stream done" in stderr.splitlines()[-1]
    assert "\r" not in stderr
    (path,) = out.iterdir()
    assert str(path) in stdout
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 180


def test_terminal_shows_bars_for_job_and_files(server: Server, tmp_path: Path) -> None:
    leader, follower = os.openpty()
    arguments = ("simulate", script_file(tmp_path, CAT), "--download", tmp_path / "out", "--json", *SOON)
    seen = b""
    with os.fdopen(leader, "rb", buffering=0) as screen, server.start(*arguments, stderr=follower) as process:
        os.close(follower)
        with suppress(OSError):  # reading fails once the other end of the terminal is closed
            while chunk := screen.read(4096):
                if b"pending" in chunk and b"pending" not in seen:
                    server.advance()
                seen += chunk
        stdout, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    (stream,) = json.loads(stdout)["streams"]
    job, video, rest = screen_of(seen.decode())
    assert "pending, 0 of 1 stream done" in seen.decode()
    assert job.startswith("━━━━━━━━━━━━━━━━━━━━ completed, 1 of 1 stream done Simulation ")
    assert video.startswith("━━━━━━━━━━━━━━━━━━━━ ")
    assert f"video of {stream['stream_id']}"[:20] in video
    assert rest == ""


def test_interrupt_message_is_below_progress_bar(server: Server, tmp_path: Path) -> None:
    leader, follower = os.openpty()
    seen = b""
    arguments = ("simulate", script_file(tmp_path, CAT), "--wait", *SOON)
    with os.fdopen(leader, "rb", buffering=0) as screen, server.start(*arguments, stderr=follower) as process:
        os.close(follower)
        with suppress(OSError):  # reading fails once the other end of the terminal is closed
            while chunk := screen.read(4096):
                if b"pending" in chunk and b"pending" not in seen:
                    process.send_signal(signal.SIGINT)
                seen += chunk
        process.communicate(timeout=LIMIT)
    bar, message, *_ = screen_of(seen.decode())
    assert " pending, 0 of 1 stream done Simulation " in bar
    assert message.startswith("Interrupted. Simulation ")
    server.advance()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupt_message_states_that_job_continues(
    signum: signal.Signals, code: int, server: Server, tmp_path: Path
) -> None:
    with server.start("simulate", script_file(tmp_path, CAT), "--wait", "--json", *SOON) as process:
        job_id = first_line(process).split()[1].rstrip(":")
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert process.returncode == code
    assert stderr.splitlines() == [
        f"Interrupted. Simulation {job_id} continues.",
        f"  Show its status: odyssey simulations show {job_id}",
        f"  Cancel it: odyssey simulations cancel {job_id}",
    ]
    found = json.loads(stdout)
    assert (found["job_id"], found["error"]["code"]) == (job_id, "interrupted")
    with server.start("simulations", "cancel", job_id) as process:
        assert process.communicate(timeout=LIMIT)[0] == f"Simulation {job_id} is cancelled.\n"


@pytest.mark.odyssey(clock="manual", portrait_size=(176, 320))
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_download_leaves_no_partial_file(
    signum: signal.Signals, odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    job = await odyssey_client.simulate(script=[CAT[0], CAT[2]])
    await odyssey_mock.advance(60)
    (stream,) = (await odyssey_client.wait_for_simulation(job.job_id)).streams
    stalled = asyncio.Event()

    async def stall() -> None:
        stalled.set()
        await asyncio.Event().wait()

    async with breaking_line(odyssey_mock.url) as line:
        line.cuts, line.before_cut = [1000], stall
        with started("recordings", "download", stream.stream_id, "--to", tmp_path, "--api-url", line.url) as process:
            async with asyncio.timeout(LIMIT):
                await stalled.wait()
            assert [name.startswith(".odyssey-") for name in names(tmp_path)] == [True]
            process.send_signal(signum)
            stdout, stderr = await asyncio.to_thread(process.communicate, timeout=LIMIT)
    assert (process.returncode, stdout, stderr) == (128 + signum, "", "Interrupted.\n")
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="requires /proc/self/fd (Linux)")
def test_link_to_standard_output_is_not_replaced(server: Server, tmp_path: Path) -> None:
    link, redirected = tmp_path / "lk", tmp_path / "redirected"
    link.symlink_to("/proc/self/fd/1")
    with server.start("simulate", SCRIPT, "--wait", "--json", *SOON) as process:
        first_line(process)
        server.advance()
        stdout, _ = process.communicate(timeout=LIMIT)
    (stream,) = json.loads(stdout)["streams"]
    download = ("recordings", "download", stream["stream_id"], "--to", link, "--overwrite")
    with server.start(*download) as process:  # standard output is a pipe
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stdout) == (1, "")
    assert f"{link} exists and is not a regular file: choose another path." in stderr
    with redirected.open("w") as file, server.start(*download, stdout=file) as process:
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert link.readlink() == Path("/proc/self/fd/1")
    assert names(tmp_path) == ["lk", "redirected"]
    with av.open(str(redirected)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 180


def test_closed_pipe_ends_command_silently(server: Server) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # before the start: the command could end before the pipe is closed
    with server.start("simulations", "list", stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(LIMIT) == 1


def test_closed_stderr_does_not_change_stdout(server: Server, tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-m", "odyssey_client.cli", "simulate", str(script_file(tmp_path, CAT))])
    ran = subprocess.run(
        f"{command} --wait --timeout 0.1 --poll-interval 0.05 --json 2>&-",
        shell=True,
        env=server.environment,
        stdout=subprocess.PIPE,
        timeout=LIMIT,
        check=False,
    )
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["error"]["code"] == "simulation_timeout"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="requires /dev/full")
def test_unwritable_stdout_is_reported_in_one_line(server: Server) -> None:
    with Path("/dev/full").open("w") as full, server.start("simulations", "list", stdout=full) as process:
        _, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stderr) == (1, "Error: Cannot write the output: No space left on device.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="requires /dev/full")
def test_unwritable_progress_does_not_end_waiting(server: Server, tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT)
    with (
        Path("/dev/full").open("w") as full,
        server.start("simulate", file, "--wait", "--timeout", "0.1", *SOON, "--json", stderr=full) as process,
    ):
        stdout, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert json.loads(stdout)["error"]["code"] == "simulation_timeout"


def test_other_characters_are_escaped_on_ascii_stdout(tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT, "katzé-猫.json")
    with started("validate", file, env={**os.environ, "PYTHONIOENCODING": "ascii"}) as process:
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stderr) == (0, "")
    assert r"katz\xe9-\u732b.json: valid" in stdout


def test_error_has_no_traceback(tmp_path: Path) -> None:
    with started(
        "simulations", "list", "--api-url", "http://[", env={**os.environ, "ODYSSEY_API_KEY": "ody_x"}
    ) as process:
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stdout) == (1, "")
    assert stderr == "Error: Odyssey: api_url is not a valid URL: Invalid IPv6 URL\n"
