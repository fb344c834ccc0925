"""Tests of the command `odyssey-mock serve`, in process and as a subprocess."""

import dataclasses
import fcntl
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from odyssey_client.trace import read_trace
from odyssey_mock import MockOdyssey
from odyssey_mock.cli.app import main
from odyssey_mock.cli.exposure import EXPOSED
from odyssey_mock.cli.serve import _missing_fonts, _ready_line, _serve, _welcome
from odyssey_mock.cli.serve import serve as serve_command
from odyssey_mock.cli.setting_options import COLLECTIONS
from odyssey_mock.media.fonts import FontSet
from odyssey_mock.settings import LIMIT_NAMES, SETTINGS, AccountSettings, Region, Setting, Settings
from odyssey_mock.system_network import SystemNetwork
from tests.mock.test_setting_values import NEEDED, TEXTS
from tests.support.certificate_files import encrypted_key, server_pair
from tests.support.fonts import require_fonts
from tests.support.forks import start_python
from tests.support.interrupts import interruptible

LIMIT = 20.0


@contextmanager
def serving(*options: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Run the server in a subprocess, yield the process, and kill it afterward if it is still running."""
    command = ("-W", "error", "-c", "from odyssey_mock.cli import main; main()", "serve", *options)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with interruptible():
        process = start_python(*command, stdout=subprocess.PIPE, stderr=stderr, env=environment)
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize(
    ("signum", "options", "log"),
    [
        (signal.SIGINT, (), ""),
        (signal.SIGTERM, ("--verbose",), "     +0.00 s  -         rest       POST /auth/token 200\n"),
    ],
)
def test_json_ready_line_and_clean_exit(signum: signal.Signals, options: Sequence[str], log: str) -> None:
    with serving("--port", "0", "--json", "--clock", "manual", "--seed", "7", *options) as process:
        ready = json.loads(first_line(process))
        assert set(ready) == {
            "url",
            "listening_url",
            "api_key",
            "control_url",
            "control_token",
            "console_url",
            "urls",
            "root_certificate",
            "pid",
        }
        assert (ready["control_url"], ready["control_token"]) == (f"{ready['url']}/_mock", None)
        assert ready["root_certificate"] is None
        assert ready["urls"] == [
            {"url": ready["url"], "reach": "local"},
            {"url": ready["url"].replace("127.0.0.1", "localhost"), "reach": "local"},
        ]
        assert (ready["console_url"], ready["pid"]) == (f"{ready['url']}/_mock/console/", process.pid)
        answer = httpx.post(f"{ready['url']}/auth/token", json={"api_key": ready["api_key"]}, trust_env=False)
        assert answer.status_code == 200
        advanced = httpx.post(f"{ready['url']}/_mock/clock/advance", json={"seconds": 60}, trust_env=False)
        assert advanced.json()["iso"] == "2026-01-01T00:01:00+00:00"
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=LIMIT)
        assert (process.returncode, stdout, stderr) == (0, "", log)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="the size of a pipe can only be set on Linux")
@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "not read"])
def test_verbose_server_works_without_a_reader_of_stderr(is_closed: bool) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    try:
        with serving("--port", "0", "--json", "--verbose", stderr=writing) as process:
            if is_closed:
                os.close(reading)
            url = json.loads(first_line(process))["url"]
            with httpx.Client(base_url=url, trust_env=False, timeout=LIMIT) as http:
                answers = [http.get(f"/{'x' * 150}") for _ in range(30)]
                notes = http.get("/_mock/journal", params={"kind": "note"}).json()
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT) == 0
    finally:
        os.close(writing)
        if not is_closed:
            os.close(reading)
    assert {(each.status_code, each.text) for each in answers} == {(404, '{"detail":"Not Found"}')}
    assert notes["entries"] == []


async def test_output_names_public_and_listening_url() -> None:
    async with MockOdyssey(public_url="https://example.com/mock") as mock:
        ready = json.loads(_ready_line(mock))
        greeting = _welcome(mock, "")
    assert (ready["url"], ready["listening_url"]) == ("https://example.com/mock", mock.listening_url)
    assert greeting.startswith(f"Odyssey mock at https://example.com/mock, listening on {mock.listening_url}\n")
    assert "export ODYSSEY_API_URL=https://example.com/mock\n" in greeting


def test_exposed_server_prints_the_token_and_a_warning() -> None:
    with serving("--host", "0.0.0.0", "--port", "0", "--json", "--key", "ody_mine") as process:
        ready = json.loads(first_line(process))
        with httpx.Client(base_url=ready["control_url"], trust_env=False) as http:
            refused = http.get("/state")
            http.headers["Authorization"] = f"Bearer {ready['control_token']}"
            accepted = http.get("/state")
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT)
    assert (refused.status_code, accepted.status_code) == (401, 200)
    assert stderr == f"{EXPOSED}\n"


async def test_exposed_greeting_has_urls_with_the_token() -> None:
    async with MockOdyssey(public_url="https://example.com/mock", control_token="0123456789abcdef") as mock:
        greeting = _welcome(mock, "")
        ready = json.loads(_ready_line(mock))
    assert ready["console_url"] == "https://example.com/mock/_mock/console/#token=0123456789abcdef"
    assert f"  console  {ready['console_url']}\n" in greeting
    assert "  state    https://example.com/mock/_mock/state?token=0123456789abcdef\n" in greeting
    assert "  journal  https://example.com/mock/_mock/journal?format=text&token=0123456789abcdef\n" in greeting


@pytest.mark.parametrize(
    ("settings", "has_token"),
    [
        (Settings(), False),
        (Settings(control_hosts=["mock.localhost", "::1"]), False),
        (Settings(control_hosts=["host.docker.internal"]), True),
        (Settings(trusted_proxies=["192.0.2.0/24"]), True),
    ],
    ids=["local", "local names", "another name", "a proxy"],
)
async def test_token_is_printed_if_requests_need_it(settings: Settings, has_token: bool) -> None:
    async with MockOdyssey(settings) as mock:
        assert json.loads(_ready_line(mock))["control_token"] == (mock.control_token if has_token else None)
        assert ("?token=" in _welcome(mock, "")) is has_token


def test_welcome_text_has_lines_to_copy() -> None:
    with serving("--port", "0", "--key", "ody_mine", "--speed", "10") as process:
        url = first_line(process).rpartition(" ")[2].strip()
        assert url.startswith("http://127.0.0.1:")
        other = url.replace("127.0.0.1", "localhost")
        assert [first_line(process) for _ in range(7)] == [
            "\n",
            f"  Local    {url}  this machine\n",
            f"  Local    {other}  this machine\n",
            "  Network  restart with --host 0.0.0.0 to let other machines and phones connect\n",
            "\n",
            f"  export ODYSSEY_API_URL={url}\n",
            "  export ODYSSEY_API_KEY=ody_mine\n",
        ]
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT)
        assert (process.returncode, stderr) == (0, "")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(), True),
        (Settings(fonts="bundled"), False),
        (Settings(overlay="stamp"), False),
        (Settings(overlay="none"), False),
    ],
)
def test_missing_fonts_are_listed_if_needed(settings: Settings, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.media.fonts.machine_fonts", FontSet)
    line = _missing_fonts(settings).strip()
    assert line.startswith("No fonts for accented Latin, Greek, Cyrillic, Chinese, Japanese, Korean, Arabic,") is told
    assert (line == "") is not told


def test_no_fonts_are_listed_if_all_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    require_fonts()
    assert _missing_fonts(Settings()) == ""


def test_trace_is_written_when_the_server_stops(tmp_path: Path) -> None:
    file = tmp_path / "run.odytrace"
    with serving("--port", "0", "--json", "--trace", str(file)) as process:
        ready = json.loads(first_line(process))
        url, key = ready["url"], ready["api_key"]
        assert httpx.post(f"{url}/auth/token", json={"api_key": key}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0

    with read_trace(file) as trace:
        assert [event.name for event in trace.events] == ["POST /auth/token"]
        assert trace.manifest.recorded_by.keys() >= {"odyssey_mock", "python", "aiortc"}
        assert key not in repr(trace.events)


async def test_requests_before_the_welcome_are_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def ask(_settings: Settings) -> str:
        httpx.get(f"http://127.0.0.1:{port}/regions", trust_env=False)
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    monkeypatch.setattr("odyssey_mock.cli.serve._missing_fonts", ask)
    await _serve(Settings(port=port), as_json=False, verbose=True, trace=None)
    assert "GET /regions 401" in capfd.readouterr().err


def test_trace_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "--trace", str(tmp_path / "missing" / "run.odytrace")])

    assert result.exit_code == 2
    assert "expected a file in an existing directory" in result.stderr


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Replace the server with a stub; return a list to which each `serve` command appends its settings."""
    served: list[Settings] = []

    async def serve(settings: Settings, *, as_json: bool, verbose: bool, trace: Path | None) -> None:
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


def test_variables_set_settings(served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mock.yaml").write_text("{fps: 5, hls: true, inactivity: 7}")
    variables = "HOST=0.0.0.0 PLAN=unlimited FPS=10 HLS=false SPEED=3 CONTROL_HOSTS=a,b SEED="
    for variable in variables.split():
        name, _, text = variable.partition("=")
        monkeypatch.setenv(f"ODYSSEY_MOCK_SET_{name}", text)
    options = ["--config", str(tmp_path / "mock.yaml"), "--speed", "2", "--set", "host=::1"]
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
    (settings,) = served
    assert (settings.stream_duration, settings.inactivity) == (None, 7)  # of the plan, and of the file
    assert (settings.fps, settings.hls, settings.control_hosts) == (10, False, ("a", "b"))
    assert (settings.speed, settings.host, settings.seed) == (2, "::1", None)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("FSP", "10", "ODYSSEY_MOCK_SET_FSP: "),
        ("FPS", "many", "ODYSSEY_MOCK_SET_FPS: fps must be a whole number"),
        ("PLAN", "golden", "ODYSSEY_MOCK_SET_PLAN: plan must be "),
        ("FAULTS", '[{"at": "nowhere"}]', "ODYSSEY_MOCK_SET_FAULTS"),
    ],
)
def test_invalid_variable_is_rejected_before_start(
    name: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ODYSSEY_MOCK_SET_{name}", text)
    result = CliRunner().invoke(main, ["serve", "--port", "0"])
    assert result.exit_code == 2
    assert expected in result.output


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
        (["--monthly-hours", "-1"], "monthly_hours must be a number of hours from 0 to 1000000000"),
        (["--region", "here=soon"], "a region must be NAME or NAME=SECONDS, got 'here=soon'"),
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


TURN = {"urls": "turn:192.0.2.1:3478?transport=tcp", "username": "anna", "credential": "open-sesame"}

GIVEN: Mapping[str, tuple[Sequence[str], object]] = {
    "host": (["--host", "::1"], "::1"),
    "port": (["--port", "8500"], 8500),
    "public_url": (["--public-url", "https://example.com/mock/"], "https://example.com/mock"),
    "trusted_proxies": (["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::2"], ("10.0.0.0/8", "::2")),
    "tls": (["--tls"], True),
    "tls_dir": (["--tls-dir", "certificates"], "certificates"),
    "tls_cert": (["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "cert.pem"),
    "tls_key": (["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "key.pem"),
    "loopback_only": (["--loopback-only"], True),
    "udp_ports": (["--udp-ports", "50000-50100"], "50000-50100"),
    "udp_addresses": (["--udp-address", "192.0.2.1", "--udp-address", "2001:DB8::1"], ("192.0.2.1", "2001:db8::1")),
    "ice_servers": (
        ["--ice-server", json.dumps(TURN), "--ice-server", '{"urls": "stun:192.0.2.1"}'],
        (TURN, {"urls": "stun:192.0.2.1"}),
    ),
    "control_hosts": (["--control-host", "mock", "--control-host", "mock.lan"], ("mock", "mock.lan")),
    "control_token": (["--control-token", "0123456789abcdef"], "0123456789abcdef"),
    "clock": (["--clock", "manual"], "manual"),
    "speed": (["--speed", "2.5"], 2.5),
    "seed": (["--seed", "7"], 7),
    "state_dir": (["--state-dir", "mock-state"], "mock-state"),
    "latency": (["--profile", "realistic"], "realistic"),
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
    "overlay": (["--overlay", "none"], "none"),
    "start_image_fit": (["--start-image-fit", "letterbox"], "letterbox"),
    "fonts": (["--fonts", "bundled"], "bundled"),
    "bitrate": (["--bitrate", "500000"], 500_000),
    "keyframe_gap": (["--keyframe-gap", "1"], 1),
    "broadcast_spectators": (["--broadcast-spectators", "3"], 3),
    "spectators": (["--spectators", "3"], 3),
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
    "private_script_urls_from_pages": (["--private-script-urls-from-pages"], True),
    "script_url_timeout": (["--script-url-timeout", "1"], 1),
    "script_url_bytes": (["--script-url-bytes", "1"], 1),
    "artifact_url_lifetime": (["--artifact-url-lifetime", "1"], 1),
    "network_profile": (["--network", "lossy-wifi"], "lossy-wifi"),
    "jobs_limit": (["--jobs-limit", "1"], 1),
    "streams_limit": (["--streams-limit", "1"], 1),
    "journal_limit": (["--journal-limit", "1"], 1),
    "journal_bytes": (["--journal-bytes", "1000"], 1000),
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
    changed: dict[str, Any] = {name: expected, **NEEDED.get(name, {})}
    assert served == [dataclasses.replace(Settings(port=8400), **changed)]


def served_with(served: list[Settings], *options: str) -> Settings:
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
    return served.pop()


def test_every_setting_can_be_set_by_name(served: list[Settings]) -> None:
    for name, (text, expected) in TEXTS.items():
        needed = NEEDED.get(name, {})
        settings = served_with(served, "--set", f"{name}={text}", *(f"--set={each}={needed[each]}" for each in needed))
        changed: dict[str, Any] = {name: expected, **needed}
        assert settings == Settings(port=8400).replace(**changed), (
            f"expected --set {name}={text} to change only this setting, got {settings}"
        )


CONFIG = {
    "config.yaml": """\
        plan: unlimited
        fps: 10
        image_to_video: no
        stream_duration: 60
        portrait_size: [176, 320]
        keys:
          ody_anna: {concurrent_sessions: 1}
          ody_berta:
        regions: [here, {id: there, latency: 0.5}]
        faults:
          - {at: stream.start, do: silent}
        """,
    "config.toml": """\
        plan = "unlimited"
        fps = 10
        image_to_video = false
        stream_duration = 60
        portrait_size = "176x320"
        regions = ["here", "there=0.5"]
        faults = [{at = "stream.start", do = "silent"}]
        [keys]
        ody_anna = {concurrent_sessions = 1}
        ody_berta = {}
        """,
    "config.json": json.dumps(
        {
            "plan": "unlimited",
            "fps": 10,
            "image_to_video": False,
            "stream_duration": 60,
            "portrait_size": [176, 320],
            "keys": {"ody_anna": {"concurrent_sessions": 1}, "ody_berta": None},
            "regions": [{"id": "here"}, {"id": "there", "latency": 0.5}],
            "faults": {"at": "stream.start", "do": "silent"},
        }
    ),
}


@pytest.mark.parametrize("name", CONFIG)
def test_config_file_sets_settings_in_each_format(name: str, tmp_path: Path, served: list[Settings]) -> None:
    (tmp_path / name).write_text(textwrap.dedent(CONFIG[name]))
    assert served_with(served, "--config", str(tmp_path / name)) == Settings(port=8400).replace(
        plan="unlimited",
        fps=10,
        image_to_video=False,
        stream_duration=60,
        portrait_size=(176, 320),
        keys={"ody_anna": AccountSettings(concurrent_sessions=1), "ody_berta": AccountSettings()},
        regions=(Region("here"), Region("there", 0.5)),
        faults=[{"at": "stream.start", "do": "silent"}],
    )


@pytest.mark.parametrize(
    ("name", "content"), [("empty.yaml", ""), ("comment.yaml", "# fps: 10\n"), ("empty.toml", ""), ("empty.json", "{}")]
)
def test_config_file_may_contain_no_settings(name: str, content: str, tmp_path: Path, served: list[Settings]) -> None:
    (tmp_path / name).write_text(content)
    assert served_with(served, "--config", str(tmp_path / name)) == Settings(port=8400)


def test_options_precede_file_and_file_precedes_plan(tmp_path: Path, served: list[Settings]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{plan: unlimited, port: 9000, fps: 10, bitrate: 5000, inactivity: 7, stream_duration: 8}")
    settings = served_with(served, "--config", str(path), "--fps", "11", "--set", "stream_duration=9")
    assert (settings.port, settings.fps, settings.bitrate) == (9000, 11, 5000)
    assert (settings.inactivity, settings.stream_duration, settings.monthly_hours) == (7, 9, None)
    settings = served_with(served, "--config", str(path), "--plan", "free", "--port", "0")
    assert (settings.port, settings.connection_duration, settings.inactivity) == (0, 3600, 7)
    assert served_with(served, "--config", str(path), "--set", "plan=free").connection_duration == 3600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fsp: 10", "config.yaml: unknown setting 'fsp'; did you mean 'fps'?"),
        ("speed: " + "9" * 400, "config.yaml: speed must be a number above 0, at most 1000000, got 999"),
        ("fps: fast", "config.yaml: fps must be a whole number from 1 to 240, got 'fast'"),
        ("plan: golden", "config.yaml: plan must be one of 'free', 'unlimited', got 'golden'"),
        ("faults: [{at: nope, do: silent}]", "config.yaml: faults: fault 1 of 1: unknown fault point 'nope'"),
        ("faults: all", "config.yaml: faults must be a list of faults"),
        ("- fps", "config.yaml must contain settings by name, such as `fps: 10`, got list"),
        ("[", "config.yaml must be YAML"),
        ("{fps: 10, fps: 11}", "config.yaml must be YAML"),
        ("ody_hush: {}", "config.yaml: unknown setting 'ody_...'"),
        ("keys: [ody_hush", "config.yaml must be YAML"),
        ("keys: {accounts: {ody_hush: {}}}", "config.yaml: keys: unknown field; known fields: bypass_privilege"),
        ("faults: [{at: ody_hush, do: silent}]", "config.yaml: faults: fault 1 of 1: unknown fault point 'ody_...'"),
        ("keys: {ody_hush: {plan: golden}}", "config.yaml: plan of a key must be one of"),
    ],
)
def test_invalid_config_file_is_rejected(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    result = CliRunner().invoke(main, ["serve", "--config", str(tmp_path / "config.yaml")])
    assert result.exit_code == 2
    assert f"Error: {tmp_path}/{message}" in result.output
    assert "hush" not in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "fps"], "--set must be NAME=VALUE, such as fps=10, got 'fps'"),
        (["--set", "fsp=1"], "--set: unknown setting 'fsp'; did you mean 'fps'?"),
        (["--set", "fps=fast"], "--set: fps must be a whole number from 1 to 240, got 'fast'"),
        (["--set", "speed=" + "9" * 400], "--set: speed must be a number above 0, at most 1000000, got 999"),
        (["--set", "plan=golden"], "--set: plan must be one of 'free', 'unlimited', got 'golden'"),
        (["--set", "fps=1", "--set", "fps=1"], "--set fps was given more than once; give it once"),
        (["--set", "fps=1", "--fps", "1"], "--set fps and --fps set the same setting; give one of them"),
        (["--plan", "free", "--set", "plan=free"], "--set plan and --plan set the same setting; give one of them"),
        (["--key", "ody_hush", "--set", 'keys=["ody_hush"]'], "--set keys and --key set the same setting"),
        (["--set", "keys:ody_hush"], "--set must be NAME=VALUE, such as fps=10, got 'keys:ody_...'"),
        (["--set", "ody_hush=1"], "--set: unknown setting 'ody_...'"),
        (["--set", "clock=ody_hush"], "--set: clock must be 'real' or 'manual', got 'ody_...'"),
        (["--set", "keys=ody_hush"], "--set: keys must be JSON"),
        (["--set", 'faults={"at": "nope"}'], "--set faults: fault 1 of 1: unknown fault point 'nope'"),
    ],
)
def test_invalid_assignment_is_rejected(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 2
    assert f"Error: {message}" in result.output
    assert "hush" not in result.output


def test_help_has_a_heading_for_each_group() -> None:
    shown = CliRunner().invoke(main, ["serve", "--help"], terminal_width=100).output
    headings = re.findall(r"^(\S.*):$", shown, re.MULTILINE)
    assert headings == [
        "Options",
        "Listening",
        "Control API",
        "Time and randomness",
        "Accounts and tokens",
        "Sessions",
        "Video",
        "Broadcasts",
        "Simulations",
        "Recordings",
        "Failures",
        "Persistence",
        "Memory",
        "Limits of accounts",
    ]
    limits = shown.partition("Limits of accounts:\n")[2]
    assert [line.split()[0] for line in limits.splitlines() if line.startswith("  --")] == [
        "--plan",
        *(SETTINGS[name].option for name in LIMIT_NAMES),
    ]


def test_unusable_state_directory_is_an_error() -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", "--state-dir", "/proc/odyssey"])
    assert (result.exit_code, result.output.splitlines()[-1][:60]) == (
        1,
        "Error: /proc/odyssey cannot be used as `state_dir`: [Errno 2]"[:60],
    )


def test_state_directory_of_another_process_is_refused(tmp_path: Path) -> None:
    with serving("--port", "0", "--json", "--state-dir", str(tmp_path)) as process:
        json.loads(first_line(process))
        result = CliRunner().invoke(main, ["serve", "--port", "0", "--state-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path} is used by the process {process.pid}; stop the mock that runs there" in result.output


# TLS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--tls-cert", "cert.pem"], "tls_key must be the file with the private key of the certificate in tls_cert"),
        (["--tls-key", "key.pem"], "tls_cert must be the file with the certificate of the private key in tls_key"),
        (["--tls", "--tls-cert", "cert.pem", "--tls-key", "key.pem"], "tls must be False with tls_cert"),
        (["--public-url", "mock.example"], "public_url must be None, or an http or https URL"),
        (
            ["--public-url", "https://mock.example:99999"],
            "public_url must be None, or an http or https URL",
        ),
        (["--public-url", "ftp://mock.example"], "public_url must be None, or an http or https URL"),
    ],
)
def test_invalid_address_or_certificate_option_is_rejected(options: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *options])
    assert (result.exit_code, expected in result.output) == (2, True), result.output


@pytest.mark.parametrize("command", [["serve"], ["exec"], ["chaos"]], ids=" ".join)
def test_unusable_certificate_is_an_error(command: list[str], tmp_path: Path) -> None:
    certificate, key = server_pair(tmp_path)
    key.write_bytes(encrypted_key(tmp_path).read_bytes())
    options = ["--tls-cert", str(certificate), "--tls-key", str(key), *(["true"] if command != ["serve"] else [])]
    result = CliRunner().invoke(main, [*command, *options])
    assert result.exit_code == {"serve": 1, "exec": 125, "chaos": 2}[command[0]]
    assert result.stderr == (
        f"Error: tls_key: expected {key} to contain a private key without a password, got an encrypted one; remove the "
        "password with `openssl pkey`\n"
    )


def test_tls_server_names_the_root_to_trust(tmp_path: Path) -> None:
    with serving("--port", "0", "--tls", "--tls-dir", str(tmp_path / "tls")) as process:
        assert process.stdout is not None
        lines = list(itertools.takewhile(lambda line: "Press Ctrl-C" not in line, process.stdout))
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0
    root = tmp_path / "tls" / "root.crt"
    assert lines[0].startswith("Odyssey mock at https://127.0.0.1:")
    assert f"  export ODYSSEY_CA_FILE={root}\n" in lines
    assert f"Clients must trust the root certificate {root}\n" in lines


async def test_ready_line_names_root_and_urls(tmp_path: Path) -> None:
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path), public_url="https://mock.example") as mock:
        ready = json.loads(_ready_line(mock))
    assert ready["root_certificate"] == str(tmp_path / "root.crt")
    assert [(each["reach"], each["url"]) for each in ready["urls"]] == [
        ("local", ready["listening_url"]),
        ("local", ready["listening_url"].replace("127.0.0.1", "localhost")),
        ("public", "https://mock.example"),
    ]


async def test_token_is_printed_alone_to_copy() -> None:
    async with MockOdyssey(host="0.0.0.0", control_token="0123456789abcdef") as mock:
        greeting = _welcome(mock, "")
    assert "  token    0123456789abcdef, for /_mock from other machines and through proxies\n" in greeting
    assert "restart with --host" not in greeting
