"""Tests of invalid arguments, configuration errors, `--help` and `--version` of `odyssey`. No request is sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import CAT, LIMIT, document, odyssey, script_file, started


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["simulate"], "Pass either FILE (several with --batch) or --url URL."),
        (["simulate", "a.json", "--url", "http://x/"], "Pass either FILE (several with --batch) or --url URL."),
        (["simulate", "a.json", "b.json"], "Several files require --batch: it makes one job of them"),
        (["simulate", "--batch", "--url", "http://x/"], "--batch cannot be used with --url"),
        (["simulate", "a.json", "--timeout", "3"], "--timeout requires --wait or --download."),
        (["simulate", "a.json", "--poll-interval", "3"], "--poll-interval requires --wait or --download."),
        (["simulate", "a.json", "--wait", "--artifact", "events"], "--artifact requires --download."),
        (["simulate", "a.json", "--wait", "--timeout", "-1"], "-1.0 is not in the range"),
        (["simulate", "a.json", "--wait", "--poll-interval", "0"], "0.0 is not in the range"),
        (["simulate", "a.json", "--wait", "--timeout", "nan"], "nan is not a number"),
        (["simulate", "a.json", "--wait", "--timeout", "inf"], "inf is not in the range"),
        (["simulate", "a.json", "--wait", "--poll-interval", "nan"], "nan is not a number"),
        (["simulate", "a.json", "--wait", "--poll-interval", "1e300"], "1e+300 is not in the range"),
        (["simulate", "a.json", "--download", "out", "--artifact", "film"], "'film' is not one of"),
        (["simulations", "list", "--all", "--limit", "3"], "--all cannot be used with --limit or --offset."),
        (["simulations", "list", "--limit", "101"], "101 is not in the range"),
        (["simulations", "list", "--offset", "-1"], "-1 is not in the range"),
        (["simulations", "list", "--status", "running"], "'running' is not one of"),
        (["simulations", "show"], "Missing argument 'JOB_ID'"),
        (["recordings", "list", "--all", "--offset", "3"], "--all cannot be used with --limit or --offset."),
        (["recordings", "download"], "Missing argument 'STREAM_ID...'"),
        (["recordings", "download", "a", "b", "--to", "cat.mp4"], "--to must be an existing directory"),
        (["recordings", "download", "a", "b", "--to", "x" * 300], "--to must be an existing directory"),
        (["recordings", "film"], "No such command 'film'"),
    ],
)
def test_wrong_usage_exits_with_code_2(arguments: list[str], expected: str) -> None:
    result = odyssey(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr


CALLS = [
    ["stream", "A cat"],
    ["simulate", "cat.json"],
    ["simulations", "list"],
    ["simulations", "show", "job-1"],
    ["simulations", "cancel", "job-1"],
    ["recordings", "list"],
    ["recordings", "show", "stream-1"],
    ["recordings", "download", "stream-1"],
]


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_error_without_key_names_environment_variable(arguments: list[str]) -> None:
    result = odyssey(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: Odyssey: api_key is required and must be a string. Set the environment variable ODYSSEY_API_KEY.\n"
    )


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_json_document_contains_the_error(arguments: list[str]) -> None:
    result = odyssey(*arguments, "--json")
    assert result.exit_code == 1
    assert document(result)["error"]["code"] == "invalid_config"
    assert result.stderr.startswith("Error: ")


def test_unreachable_service_is_reported_without_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_secret_key")
    monkeypatch.setattr("odyssey_client.system.SystemClock.sleep", _no_sleep)
    for arguments in (["simulate", script_file(tmp_path, CAT)], ["simulations", "list"]):
        result = odyssey(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "POST http://127.0.0.1:1/auth/token got no answer" in result.stderr
        assert "Traceback" not in result.output
        assert "ody_secret_key" not in result.output


async def _no_sleep(*_: object) -> None:
    return


def test_undecodable_byte_in_environment_is_an_invalid_setting() -> None:
    for name, value in (("ODYSSEY_API_KEY", b"ody_h\xffnter"), ("ODYSSEY_API_URL", b"http://h\xffst")):
        environment = {**os.environ, "ODYSSEY_API_KEY": "ody_test", name: os.fsdecode(value)}
        with started("recordings", "list", "--json", env=environment) as process:
            stdout, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        error = json.loads(stdout)["error"]
        assert (error["code"], error["retryable"]) == ("invalid_config", False)
        assert name in stderr
        assert "nter" not in stdout + stderr


def test_invalid_url_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_test")
    result = odyssey("simulations", "list", "--api-url", "ftp://x")
    assert result.exit_code == 1
    assert "must look like https://host or http://host:port" in result.stderr


def test_invalid_script_is_rejected_before_any_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_test")
    broken, other = script_file(tmp_path, [], "broken.json"), script_file(tmp_path, {}, "other.json")
    result = odyssey("simulate", "--batch", broken, other, "--download", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    of_broken, of_other = result.stderr.splitlines()
    assert of_broken.startswith(f"Error: {broken}: script: expected an array")
    assert of_other.startswith(f"Error: {other}: script: expected an array")
    assert not (tmp_path / "out").exists()


def test_unusable_directory_is_rejected_before_any_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_test")
    file = script_file(tmp_path, CAT)
    for directory, why in ((file, "File exists"), (file / "out", "Not a directory")):
        result = odyssey("simulate", file, "--download", directory)
        assert result.exit_code == 1
        assert (
            result.stderr
            == f"Error: Cannot create the directory {directory}: {why}. Choose another one with --download.\n"
        )


def test_help_lists_commands_and_environment_variables() -> None:
    result = odyssey("--help")
    assert result.exit_code == 0
    for expected in (
        "stream",
        "validate",
        "simulate",
        "simulations",
        "recordings",
        "watch",
        "ODYSSEY_API_KEY",
        "ODYSSEY_CA_FILE",
        "--json",
    ):
        assert expected in result.stdout


@pytest.mark.parametrize("arguments", [call[:1] if call[0] in {"simulate", "stream"} else call[:2] for call in CALLS])
def test_commands_have_no_option_for_key(arguments: list[str]) -> None:
    shown = odyssey(*arguments, "--help").stdout
    assert "--json" in shown
    assert "--api-url" in shown
    assert "key" not in shown


def test_version_option_prints_version() -> None:
    assert odyssey("--version").stdout.startswith("odyssey, version ")


def test_help_and_validate_import_no_large_modules(tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT)
    code = (
        "import sys\nfrom odyssey_client.cli import main\n"
        f"main(['--help'], standalone_mode=False)\nmain(['validate', {str(file)!r}], standalone_mode=False)\n"
        "large = ('httpx', 'aiortc', 'av', 'numpy', 'PIL', 'rich', 'websockets')\n"
        "print([name for name in large if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_command_runs_as_module() -> None:
    with started("--version") as process:
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.startswith("odyssey, version ")
