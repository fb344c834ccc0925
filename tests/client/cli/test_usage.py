"""How the command is called, and what it says when it is called wrongly: exit code 2, and nothing is sent."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import CAT, LIMIT, document, odyssey, script_file, started


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["simulate"], "Give one FILE, or several with --batch, or --url URL."),
        (["simulate", "a.json", "--url", "http://x/"], "Give one FILE, or several with --batch, or --url URL."),
        (["simulate", "a.json", "b.json"], "Several files need --batch: it makes one job of them"),
        (["simulate", "--batch", "--url", "http://x/"], "--batch is for files"),
        (["simulate", "a.json", "--timeout", "3"], "--timeout needs --wait or --download."),
        (["simulate", "a.json", "--poll-interval", "3"], "--poll-interval needs --wait or --download."),
        (["simulate", "a.json", "--wait", "--artifact", "events"], "--artifact needs --download."),
        (["simulate", "a.json", "--wait", "--timeout", "-1"], "-1.0 is not in the range"),
        (["simulate", "a.json", "--wait", "--poll-interval", "0"], "0.0 is not in the range"),
        (["simulate", "a.json", "--wait", "--timeout", "nan"], "nan is no number"),
        (["simulate", "a.json", "--wait", "--timeout", "inf"], "inf is not in the range"),
        (["simulate", "a.json", "--wait", "--poll-interval", "nan"], "nan is no number"),
        (["simulate", "a.json", "--wait", "--poll-interval", "1e300"], "1e+300 is not in the range"),
        (["simulate", "a.json", "--download", "out", "--artifact", "film"], "'film' is not one of"),
        (["simulations", "list", "--all", "--limit", "3"], "--all goes without --limit and --offset."),
        (["simulations", "list", "--limit", "101"], "101 is not in the range"),
        (["simulations", "list", "--offset", "-1"], "-1 is not in the range"),
        (["simulations", "list", "--status", "running"], "'running' is not one of"),
        (["simulations", "show"], "Missing argument 'JOB'"),
        (["recordings", "list", "--all", "--offset", "3"], "--all goes without --limit and --offset."),
        (["recordings", "download"], "Missing argument 'STREAM...'"),
        (["recordings", "download", "a", "b", "--to", "cat.mp4"], "Several files need a directory for --to"),
        (["recordings", "download", "a", "b", "--to", "x" * 300], "Several files need a directory for --to"),
        (["recordings", "film"], "No such command 'film'"),
    ],
)
def test_a_wrong_call_is_told_with_exit_code_2(arguments: list[str], expected: str) -> None:
    result = odyssey(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr


CALLS = [
    ["simulate", "cat.json"],
    ["simulations", "list"],
    ["simulations", "show", "job-1"],
    ["simulations", "cancel", "job-1"],
    ["recordings", "list"],
    ["recordings", "show", "stream-1"],
    ["recordings", "download", "stream-1"],
]


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_without_a_key_every_call_says_where_it_comes_from(arguments: list[str]) -> None:
    result = odyssey(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: Odyssey: api_key is required and must be a string. Set the environment variable ODYSSEY_API_KEY.\n"
    )


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_with_json_an_error_is_the_one_document(arguments: list[str]) -> None:
    result = odyssey(*arguments, "--json")
    assert result.exit_code == 1
    assert document(result)["error"]["code"] == "invalid_config"
    assert result.stderr.startswith("Error: ")


def test_a_service_that_cannot_be_reached_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_wrong_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_test")
    result = odyssey("simulations", "list", "--api-url", "ftp://x")
    assert result.exit_code == 1
    assert "must look like https://host or http://host:port" in result.stderr


def test_a_broken_script_is_told_before_anything_is_made_or_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_test")
    broken, other = script_file(tmp_path, [], "broken.json"), script_file(tmp_path, {}, "other.json")
    result = odyssey("simulate", "--batch", broken, other, "--download", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    of_broken, of_other = result.stderr.splitlines()
    assert of_broken.startswith(f"Error: {broken}: script: expected an array")
    assert of_other.startswith(f"Error: {other}: script: expected an array")
    assert not (tmp_path / "out").exists()


def test_a_directory_that_cannot_be_made_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_test")
    file = script_file(tmp_path, CAT)
    for directory, why in ((file, "File exists"), (file / "out", "Not a directory")):
        result = odyssey("simulate", file, "--download", directory)
        assert result.exit_code == 1
        assert (
            result.stderr == f"Error: Cannot make the directory {directory}: {why}. Choose another with --download.\n"
        )


def test_help_lists_the_commands_and_says_where_the_key_comes_from() -> None:
    result = odyssey("--help")
    assert result.exit_code == 0
    for expected in ("validate", "simulate", "simulations", "recordings", "watch", "ODYSSEY_API_KEY", "--json"):
        assert expected in result.stdout


@pytest.mark.parametrize("arguments", [call[:2] if call[0] != "simulate" else call[:1] for call in CALLS])
def test_no_command_takes_a_key_as_an_argument(arguments: list[str]) -> None:
    shown = odyssey(*arguments, "--help").stdout
    assert "--json" in shown
    assert "--api-url" in shown
    assert "key" not in shown


def test_the_version_is_that_of_the_package() -> None:
    assert odyssey("--version").stdout.startswith("odyssey, version ")


def test_help_and_validate_load_nothing_that_is_heavy(tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT)
    code = (
        "import sys\nfrom odyssey_client.cli import main\n"
        f"main(['--help'], standalone_mode=False)\nmain(['validate', {str(file)!r}], standalone_mode=False)\n"
        "print([name for name in ('httpx', 'aiortc', 'av', 'numpy', 'PIL', 'websockets') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module_too() -> None:
    with started("--version") as process:
        stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.startswith("odyssey, version ")
