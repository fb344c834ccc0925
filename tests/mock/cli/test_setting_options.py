"""Tests of the options of the settings: one of each setting, `--set`, `--config`, `--plan`, and the variables."""

import dataclasses
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.cli.serve import serve as serve_command
from odyssey_mock.cli.setting_options import COLLECTIONS
from odyssey_mock.settings import LIMIT_NAMES, SETTINGS, AccountSettings, Region, Setting, Settings
from tests.mock.test_setting_values import NEEDED, TEXTS


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
