"""Tests of the command `odyssey-mock chaos`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from odyssey_mock.cli.app import main
from tests.support.forks import start_python
from tests.support.interrupts import interruptible

APP = """
import os, sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(os.environ["ODYSSEY_API_URL"] + "/ping/us-east-1")
except urllib.error.HTTPError as error:
    sys.exit(f"got status {error.code}")
"""
"""A program that exits with status 1 if the ping URL of the region returns an error status."""

LIMIT_S = 60.0


def chaos(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["chaos", *arguments])


def test_summary_and_exit_code_show_failures(tmp_path: Path) -> None:
    reports = [tmp_path / "report.html", tmp_path / "report.json"]
    options = [f"--report={path}" for path in reports]
    result = chaos("--only", "*:status", "--only", "*:not_json", *options, "--", sys.executable, "-c", APP)
    assert result.exit_code == 1
    assert "1 test, 2 runs: 1 passed, 1 failed" in result.output
    assert "  failed       rest.regions.ping: status 503, every time  exit status 1: got status 503" in result.output
    assert json.loads(reports[1].read_text())["counts"]["failed"] == 1
    assert "<table>" in reports[0].read_text()


def test_exit_code_is_zero_if_all_pass() -> None:
    result = chaos("--only", "rest.*", "--exclude", "*:[drst]*", "--exclude", "*:no_answer", sys.executable, "-c", APP)
    assert (result.exit_code, result.output.count("passed")) == (0, 5), (
        f"expected exit status 0 and 5 times 'passed', got exit status {result.exit_code} and:\n{result.output}"
    )


def test_settings_apply_to_the_mocks() -> None:
    code = APP + "urllib.request.urlopen(os.environ['ODYSSEY_API_URL'] + '/ping/mars-1')"
    result = chaos("--region", "us-east-1", "--region", "mars-1", "--only", "*:not_json", sys.executable, "-c", code)
    assert (result.exit_code, "1 passed" in result.output) == (0, True), (
        f"expected exit status 0 and '1 passed', got exit status {result.exit_code} and:\n{result.output}"
    )


def test_port_in_config_file_has_no_effect(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('port = 8400\nregions = ["us-east-1", "mars-1"]\n')
    code = APP + "urllib.request.urlopen(os.environ['ODYSSEY_API_URL'] + '/ping/mars-1')"
    code += "\nassert not os.environ['ODYSSEY_API_URL'].endswith(':8400')"
    result = chaos("--config", str(path), "--only", "*:not_json", sys.executable, "-c", code)
    assert (result.exit_code, "1 passed" in result.output) == (0, True), (
        f"expected exit status 0 and '1 passed', got exit status {result.exit_code} and:\n{result.output}"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "port=1", "true"], "--set port is not possible: each run has a free port; leave it out"),
        (
            ["--only", "job.*", sys.executable, "-c", APP],
            "expected patterns of fault points that the run reached",
        ),
        (["no-such-program"], "cannot run 'no-such-program'"),
        ([sys.executable, "-c", "raise SystemExit(7)"], "succeed without a fault, got exit status 7"),
        (["--report", "report.txt", "true"], "ends with .html or .json, got 'report.txt'"),
        (["--streamers", "-1", "true"], "streamers"),
        ([], "Missing argument 'COMMAND...'"),
    ],
)
def test_exit_code_is_two_without_runs(arguments: list[str], message: str) -> None:
    result = chaos(*arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_prints_summary_so_far(signum: signal.Signals) -> None:
    command = ("-c", "from odyssey_mock.cli import main; main()", "chaos", "--only", "*:[st]*")
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    slow = APP + "import time\nif os.environ.get('ODYSSEY_API_URL'): time.sleep(1)"
    with interruptible():
        process = start_python(
            *(*command, sys.executable, "-c", slow),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    with process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("[1/"):
            pass
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, stderr) == (130, "")
    assert "of 2 runs not completed" in stdout or "of 3 runs not completed" in stdout


def test_address_of_another_machine_is_an_error() -> None:
    result = chaos("--host", "203.0.113.9", "--", "true")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: cannot listen on 203.0.113.9 port ")
