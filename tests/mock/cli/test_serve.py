"""Tests of the command `odyssey-mock serve`, in process and as a subprocess."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click
import httpx
import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.cli.serve import serve as serve_command
from odyssey_mock.cli.setting_options import COLLECTIONS
from odyssey_mock.settings import LIMIT_NAMES, SETTINGS, AccountSettings, Region, Setting, Settings
from odyssey_mock.system_network import SystemNetwork
from tests.support.interrupts import interruptible

LIMIT = 20.0


@contextmanager
def serving(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the server in a subprocess, yield the process, and kill it afterward if it is still running."""
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
def test_json_ready_line_and_clean_exit(signum: signal.Signals) -> None:
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


def test_welcome_text_has_lines_to_copy() -> None:
    with serving("--port", "0", "--key", "ody_mine", "--speed", "10") as process:
        url = first_line(process).rpartition(" ")[2].strip()
        assert url.startswith("http://127.0.0.1:")
        greeting = first_line(process) + first_line(process) + first_line(process)
        assert greeting.split() == ["export", f"ODYSSEY_API_URL={url}", "export", "ODYSSEY_API_KEY=ody_mine"]
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT)
        assert (process.returncode, stderr) == (0, "")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Replace the server with a stub; return a list to which each `serve` command appends its settings."""
    served: list[Settings] = []

    async def serve(settings: Settings, *, as_json: bool) -> None:
        served.append(settings)

    monkeypatch.setattr("odyssey_mock.cli.serve._serve", serve)
    return served


def test_script_host_option_adds_a_host(served: list[Settings]) -> None:
    options = ["--script-host", "files.example", "--simulation-pace", "0", "--stream-duration", "900", "--no-hls"]
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
    assert (served[0].stream_duration, served[0].hls) == (900, False)
    assert served[0].script_url_hosts == (*Settings().script_url_hosts, "files.example")
    assert served[0].simulation_pace == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (5, 150, None)),
        (["--plan", "free", "--stream-duration", "none"], (5, None, None)),
        (["--plan", "free", "--monthly-hours", "2.5"], (5, 150, 2.5)),
        (["--plan", "unlimited"], (None, None, None)),
        (["--plan", "unlimited", "--stream-duration", "9", "--monthly-hours", "1"], (None, 9, 1)),
    ],
)
def test_limits_default_to_the_plan(
    options: list[str], expected: tuple[float | None, ...], served: list[Settings]
) -> None:
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
    assert (served[0].concurrent_sessions, served[0].stream_duration, served[0].monthly_hours) == expected


def test_used_port_ends_with_an_error() -> None:
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
        (["--region", "here=soon"], "--region must be NAME or NAME=SECONDS, got 'here=soon'"),
        (["--region", "here", "--region", "here"], "regions must be a non-empty list of Region, with distinct ids"),
        (["--concurrent-sessions", "some"], "'some' is not a valid integer"),
        (["--script-host", "http://files"], "script_url_hosts must be a list of host names"),
    ],
)
def test_invalid_option_is_rejected_before_start(options: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *options])
    assert result.exit_code == 2
    assert expected in result.output


def test_help_lists_all_commands() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {command} " in shown for command in ("serve", "demo", "bench", "explore"))


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_help_describes_every_setting(setting: Setting) -> None:
    (option,) = (each for each in serve_command.params if each.name == setting.name)
    _, shown = option.get_help_record(click.Context(serve_command, show_default=True)) or ("", "")
    assert setting.option in option.opts
    assert setting.description in shown
    assert "None]" not in shown
    limit = setting.name in LIMIT_NAMES
    of_many = setting.name in COLLECTIONS
    assert ("[default: " in shown) == (limit or (setting.default is not None and not of_many))


GIVEN: Mapping[str, tuple[Sequence[str], object]] = {
    "host": (["--host", "::1"], "::1"),
    "port": (["--port", "8500"], 8500),
    "loopback_only": (["--loopback-only"], True),
    "clock": (["--clock", "manual"], "manual"),
    "speed": (["--speed", "2.5"], 2.5),
    "seed": (["--seed", "7"], 7),
    "keys": (["--key", "ody_anna", "--key", "ody_berta"], dict.fromkeys(["ody_anna", "ody_berta"], AccountSettings())),
    "bypass_privilege": (["--no-bypass-privilege"], False),
    "access_token_lifetime": (["--access-token-lifetime", "60"], 60),
    "session_token_lifetime": (["--session-token-lifetime", "61"], 61),
    "usage_error_form": (["--usage-error-form", "string"], "string"),
    "end_without_stream": (["--end-without-stream", "ended"], "ended"),
    "regions": (["--region", "here", "--region", "there=0.5"], (Region("here"), Region("there", 0.5))),
    "streamers": (["--streamers", "3"], 3),
    "dangling_session": (["--dangling-session", "62"], 62),
    "session_grace": (["--session-grace", "0"], 0),
    "stale_session": (["--stale-session", "40"], 40),
    "image_to_video": (["--no-image-to-video"], False),
    "max_image_bytes": (["--max-image-bytes", "1000"], 1000),
    "channel_delay": (["--channel-delay", "0"], 0),
    "fps": (["--fps", "10"], 10),
    "portrait_size": (["--portrait-size", "176", "320"], (176, 320)),
    "landscape_size": (["--landscape-size", "320", "176"], (320, 176)),
    "bitrate": (["--bitrate", "500000"], 500_000),
    "keyframe_gap": (["--keyframe-gap", "1"], 1),
    "spectator_handshake": (["--spectator-handshake", "5"], 5),
    "hls": (["--no-hls"], False),
    "hls_segment_duration": (["--hls-segment-duration", "2"], 2),
    "hls_segments": (["--hls-segments", "3"], 3),
    "hls_linger": (["--hls-linger", "1"], 1),
    "simulation_workers": (["--simulation-workers", "0"], 0),
    "simulation_priority": (["--simulation-priority", "high"], "high"),
    "simulation_dispatch_delay": (["--simulation-dispatch-delay", "1"], 1),
    "simulation_start_delay": (["--simulation-start-delay", "1.5"], 1.5),
    "simulation_pace": (["--simulation-pace", "0"], 0),
    "simulation_duration": (["--simulation-duration", "9"], 9),
    "simulation_retries": (["--simulation-retries", "0"], 0),
    "cancel_processing": (["--no-cancel-processing"], False),
    "script_url_hosts": (["--script-host", "files.example"], (*Settings().script_url_hosts, "files.example")),
    "script_url_timeout": (["--script-url-timeout", "1"], 1),
    "script_url_bytes": (["--script-url-bytes", "1"], 1),
    "artifact_url_lifetime": (["--artifact-url-lifetime", "1"], 1),
    "jobs_limit": (["--jobs-limit", "1"], 1),
    "streams_limit": (["--streams-limit", "1"], 1),
    "journal_limit": (["--journal-limit", "1"], 1),
    "concurrent_sessions": (["--concurrent-sessions", "none"], None),
    "monthly_hours": (["--monthly-hours", "2.5"], 2.5),
    "queued_simulations": (["--queued-simulations", "3"], 3),
    "connection_duration": (["--connection-duration", "none"], None),
    "inactivity": (["--inactivity", "5"], 5),
    "stream_duration": (["--stream-duration", "9"], 9),
}
"""For each setting except `faults` (see `faults/test_fault_files.py`), options that set it and the resulting value."""


def test_table_of_options_covers_every_setting() -> None:
    assert GIVEN.keys() == SETTINGS.keys() - {"faults"}


@pytest.mark.parametrize("name", GIVEN)
def test_option_sets_only_its_setting(name: str, served: list[Settings]) -> None:
    options, expected = GIVEN[name]
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
    assert served == [dataclasses.replace(Settings(port=8400), **{name: expected})]  # type: ignore[arg-type]  # the name is a variable


def test_importing_the_cli_does_not_load_the_server() -> None:
    code = (
        "import sys, odyssey_mock.cli; print([name for name in ('starlette', 'aiortc', 'av') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert ran.stdout.strip() == "[]"
