"""Tests of the command `odyssey-mock serve`, in process and as a subprocess."""

import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from odyssey_client.trace import read_trace
from odyssey_mock import MockOdyssey
from odyssey_mock.cli.app import main
from odyssey_mock.cli.exposure import EXPOSED
from odyssey_mock.cli.serve import _missing_fonts, _ready_line, _serve, _welcome
from odyssey_mock.media.fonts import FontSet
from odyssey_mock.settings import Settings
from odyssey_mock.system_network import SystemNetwork
from tests.support.certificate_files import encrypted_key, server_pair
from tests.support.fonts import require_fonts
from tests.support.forks import start_python
from tests.support.interrupts import interruptible
from tests.support.tls_contexts import NO_CERTIFICATES

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
        answer = httpx.post(
            f"{ready['url']}/auth/token", json={"api_key": ready["api_key"]}, trust_env=False, verify=NO_CERTIFICATES
        )
        assert answer.status_code == 200
        advanced = httpx.post(
            f"{ready['url']}/_mock/clock/advance", json={"seconds": 60}, trust_env=False, verify=NO_CERTIFICATES
        )
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
            with httpx.Client(base_url=url, trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http:
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
        with httpx.Client(base_url=ready["control_url"], trust_env=False, verify=NO_CERTIFICATES) as http:
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
        assert httpx.post(f"{url}/auth/token", json={"api_key": key}, verify=NO_CERTIFICATES).status_code == 200
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
        httpx.get(f"http://127.0.0.1:{port}/regions", trust_env=False, verify=NO_CERTIFICATES)
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    monkeypatch.setattr("odyssey_mock.cli.serve._missing_fonts", ask)
    await _serve(Settings(port=port), as_json=False, verbose=True, trace=None)
    assert "GET /regions 401" in capfd.readouterr().err


def test_trace_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "--trace", str(tmp_path / "missing" / "run.odytrace")])

    assert result.exit_code == 2
    assert "expected a file in an existing directory" in result.stderr


def test_used_port_ends_with_an_error() -> None:
    with SystemNetwork().listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot listen on 127.0.0.1 port {port}: ")
    assert "Choose another port" in result.output


def test_help_lists_all_commands() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {command} " in shown for command in ("serve", "demo", "bench", "explore"))


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
