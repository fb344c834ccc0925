"""Tests of the command `odyssey-mock exec`."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

from odyssey_mock.cli.app import main
from tests.support.forks import start_python
from tests.support.interrupts import interruptible
from tests.support.terminals import with_own_terminal

LIMIT_S = 60.0

SHOW = """
import json, os, sys, urllib.request
url, key = os.environ["ODYSSEY_API_URL"], os.environ["ODYSSEY_API_KEY"]
body = json.dumps({"api_key": key}).encode()
request = urllib.request.Request(url + "/auth/token", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as response:
    print(response.status, url, *sys.argv[1:])
sys.exit(7)
"""
"""A program that gets a token from the mock, prints the status, the URL and its arguments, and exits with status 7."""

COUNT = """
import os, signal, sys
counts = {}
def note(signum, _):
    name = signal.Signals(signum).name
    counts[name] = counts.get(name, 0) + 1
    print(name, counts[name], flush=True)
    if name == "SIGTERM":
        os._exit(5)
for name in ("SIGINT", "SIGHUP", "SIGUSR1", "SIGTERM"):
    signal.signal(getattr(signal, name), note)
print("ready", flush=True)
while True:
    signal.pause()
"""
"""A program that prints each signal with the number of times that it was received; SIGTERM ends it with status 5."""


def exec_(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["exec", *arguments])


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def started(command: Sequence[str]) -> list[str]:
    return python("from odyssey_mock.cli import main; main()", "exec", "--", *command)


def test_command_uses_the_mock_and_decides_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    result = exec_("--", *python(SHOW, "--port", "a b"))
    shown = capfd.readouterr()
    assert (result.exit_code, result.output, shown.err) == (7, "", "")
    status, url, *arguments = shown.out.split()
    assert (status, arguments) == ("200", ["--port", "a", "b"])
    assert not url.endswith(":8400"), f"expected a free port, got the default port of serve in {url}"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5).close()


def test_settings_apply_to_the_mock(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {at: rest.auth.token, do: status, status: 418}\n")
    result = exec_("--faults", str(faults), *python(SHOW))
    assert result.exit_code == 1
    assert "HTTP Error 418" in capfd.readouterr().err


def test_port_can_be_chosen(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "mock.yaml"
    config.write_text(f"port: {port}\n")
    result = exec_("--config", str(config), *python(SHOW))
    assert (result.exit_code, capfd.readouterr().out) == (7, f"200 http://127.0.0.1:{port}\n")


def test_signal_that_ends_command_decides_exit_code() -> None:
    assert exec_("sh", "-c", "kill -KILL $$").exit_code == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-program", "x"], 127, "cannot run 'no-such-program': expected the name of a program on PATH"),
        (["npm test"], 127, "Pass each word as an argument of its own, or run: sh -c 'npm test'"),
        (["/no/such/program"], 127, "cannot run '/no/such/program': expected the name of a program on PATH, or the"),
        (["/etc/passwd"], 126, "cannot run '/etc/passwd': Permission denied"),
        (["--streamers", "-1", "true"], 2, "streamers"),
        (["--no-such-option", "true"], 2, "No such option"),
        ([], 2, "Missing argument 'COMMAND...'"),
    ],
)
def test_command_that_cannot_run_is_an_error(arguments: list[str], code: int, message: str) -> None:
    result = exec_(*arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), (
        f"expected exit code {code} and {message!r}, got {result.exit_code} and:\n{result.stderr}"
    )


def test_port_in_use_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = exec_("--port", str(port), "echo", "ran")
    assert (result.exit_code, capfd.readouterr().out) == (125, "")
    assert f"cannot listen on 127.0.0.1 port {port}" in result.stderr


def test_signals_are_forwarded() -> None:
    with interruptible():
        process = start_python(
            *started(python(COUNT))[1:],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # without a terminal
        )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for name in ("SIGHUP", "SIGUSR1", "SIGINT", "SIGTERM"):
            process.send_signal(signal.Signals[name])
            assert process.stdout.readline() == f"{name} 1\n"
        _, stderr = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, stderr) == (5, "")


def test_interrupt_of_terminal_reaches_command_once() -> None:
    leader, follower = os.openpty()
    with interruptible():
        process = subprocess.Popen(
            with_own_terminal(started(python(COUNT))),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
    os.close(follower)
    with os.fdopen(leader, "r+b", buffering=0) as terminal, process:
        seen = read_until(b"ready\r\n", terminal)
        terminal.write(b"\x03")
        seen += read_until(b"SIGINT 1\r\n", terminal)
        # `exec` handles signals in order, so it has handled SIGINT when it forwards this one.
        process.send_signal(signal.SIGUSR1)
        seen += read_until(b"SIGUSR1 1\r\n", terminal)
        process.send_signal(signal.SIGTERM)
        code = process.wait(LIMIT_S)
    assert (code, seen.count(b"SIGINT")) == (5, 1), f"the terminal shows {seen!r}"


def read_until(end: bytes, terminal: IO[bytes]) -> bytes:
    seen = b""
    while not seen.endswith(end):
        seen += terminal.read(1)
    return seen


TRUST = """
import os, ssl, urllib.request
context = ssl.create_default_context(cafile=os.environ["ODYSSEY_CA_FILE"])
with urllib.request.urlopen(os.environ["ODYSSEY_API_URL"] + "/_mock/health", context=context) as response:
    print(response.status, os.environ["NODE_EXTRA_CA_CERTS"])
"""
"""A program that connects to a mock with TLS, and prints the status and the file of roots for Node.js."""


@pytest.mark.parametrize("kept", [None, "/etc/roots.pem"], ids=["unset", "set by the user"])
def test_command_gets_the_root_to_trust(
    kept: str | None, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
    if kept is not None:
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", kept)
    result = exec_("--tls", "--tls-dir", str(tmp_path), "--", *python(TRUST))
    shown = capfd.readouterr()
    assert (result.exit_code, shown.out, shown.err) == (0, f"200 {kept or tmp_path / 'root.crt'}\n", "")
