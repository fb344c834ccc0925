"""`odyssey-mock serve` as a process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.core.network import SystemNetwork
from odyssey_mock.settings import Settings
from tests.support.interrupts import interruptible

LIMIT = 20.0


@contextmanager
def serving(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A server of its own process; killed at the end, should it still run."""
    command = [sys.executable, "-W", "error", "-c", "from odyssey_mock.cli import main; main()", "serve", *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with interruptible():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_json_line_when_it_is_ready_and_ends_cleanly(signum: signal.Signals) -> None:
    with serving("--port", "0", "--json", "--clock", "manual", "--seed", "7") as process:
        ready = json.loads(first_line(process))
        assert set(ready) == {"url", "api_key", "console_url", "pid"}
        assert (ready["console_url"], ready["pid"]) == (None, process.pid)
        answer = httpx.post(f"{ready['url']}/auth/token", json={"api_key": ready["api_key"]}, trust_env=False)
        assert answer.status_code == 200
        advanced = httpx.post(f"{ready['url']}/_mock/clock/advance", json={"seconds": 60}, trust_env=False)
        assert advanced.json()["iso"] == "2026-01-01T00:01:00+00:00"
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=LIMIT)
        assert (process.returncode, stdout, stderr) == (0, "", "")


def test_it_greets_with_the_lines_to_copy() -> None:
    with serving("--port", "0", "--key", "ody_mine", "--speed", "10") as process:
        url = first_line(process).rpartition(" ")[2].strip()
        assert url.startswith("http://127.0.0.1:")
        greeting = first_line(process) + first_line(process) + first_line(process)
        assert greeting.split() == ["export", f"ODYSSEY_API_URL={url}", "export", "ODYSSEY_API_KEY=ody_mine"]
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT)
        assert (process.returncode, stderr) == (0, "")


def test_a_script_may_come_from_a_host_that_was_named_beside_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []

    async def serve(settings: Settings, *, as_json: bool) -> None:
        served.append(settings)

    monkeypatch.setattr("odyssey_mock.cli._serve", serve)
    options = ["--script-host", "files.example", "--simulation-pace", "0", "--stream-duration", "900", "--no-hls"]
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, result.output
    assert (served[0].stream_duration, served[0].hls) == (900, False)
    assert served[0].script_url_hosts == (*Settings().script_url_hosts, "files.example")
    assert served[0].simulation_pace == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (5, 150, None)),
        (["--plan", "free", "--monthly-hours", "2.5"], (5, 150, 2.5)),
        (["--plan", "unlimited"], (None, None, None)),
        (["--plan", "unlimited", "--stream-duration", "9", "--monthly-hours", "1"], (None, 9, 1)),
    ],
)
def test_limits_come_from_the_plan_where_none_is_given(
    options: list[str], expected: tuple[float | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Settings] = []

    async def serve(settings: Settings, *, as_json: bool) -> None:
        served.append(settings)

    monkeypatch.setattr("odyssey_mock.cli._serve", serve)
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, result.output
    assert (served[0].concurrent_sessions, served[0].stream_duration, served[0].monthly_hours) == expected


def test_a_port_that_is_taken_ends_it_with_a_clear_error() -> None:
    with SystemNetwork().listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot listen on 127.0.0.1 port {port}: ")
    assert "Choose another port" in result.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--speed", "0"], "speed must be a number above 0"),
        (["--portrait-size", "705", "1280"], "portrait_size must be (width, height)"),
        (["--clock", "sundial"], "'sundial' is not one of"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--simulation-pace", "-1"], "simulation_pace must be a number"),
        (["--stream-duration", "0"], "stream_duration must be a number of seconds above 0"),
        (["--plan", "golden"], "'golden' is not one of 'free', 'unlimited'"),
        (["--monthly-hours", "-1"], "monthly_hours must be a number of hours, 0 or more"),
        (["--script-host", "http://files"], "script_url_hosts must be a list of host names"),
    ],
)
def test_a_wrong_option_is_told_before_anything_starts(options: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *options])
    assert result.exit_code == 2
    assert expected in result.output


def test_help_shows_the_commands_and_the_default_port() -> None:
    assert "serve" in CliRunner().invoke(main, ["--help"]).output
    assert "8400" in CliRunner().invoke(main, ["serve", "-h"]).output


def test_the_commands_are_listed_without_loading_the_server() -> None:
    code = (
        "import sys, odyssey_mock.cli; print([name for name in ('starlette', 'aiortc', 'av') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert ran.stdout.strip() == "[]"
