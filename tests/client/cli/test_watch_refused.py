"""Tests of the command `odyssey watch` with invalid arguments, or without a server."""

from pathlib import Path

import pytest

from .conftest import document, odyssey

NOWHERE = "http://127.0.0.1:1/broadcast/x"
TOKEN = "spectator-secret"


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODYSSEY_SPECTATOR_TOKEN", raising=False)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_unwritable_file_is_rejected_before_any_request(tmp_path: Path) -> None:
    there = tmp_path / "there.mp4"
    there.write_bytes(b"a film")
    for path, code, message in (
        (there, "file_exists", f"{there} already exists: choose another path, or pass --overwrite to replace it."),
        (tmp_path / "none" / "a.mp4", "cannot_write", "No such file or directory. Choose another path with --save."),
        (tmp_path, "cannot_write", "Is a directory. Choose another path with --save."),
    ):
        result = odyssey("watch", NOWHERE, "--token", TOKEN, "--save", path, "--json")
        error = document(result)["error"]
        assert (result.exit_code, error["code"]) == (1, code)
        assert error["message"].endswith(message)
    assert there.read_bytes() == b"a film"
    assert names(tmp_path) == ["there.mp4"]


def test_overwrite_keeps_file_if_nothing_is_recorded(
    tmp_path: Path,
) -> None:
    there = tmp_path / "there.mp4"
    there.write_bytes(b"a film")
    result = odyssey("watch", NOWHERE, "--token", TOKEN, "--save", there, "--overwrite", "--json")
    assert document(result)["error"]["code"] == "service_unreachable"
    assert there.read_bytes() == b"a film"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([NOWHERE], "Set the environment variable ODYSSEY_SPECTATOR_TOKEN to the spectator token, or pass --token."),
        ([NOWHERE, "--token", ""], "Set the environment variable ODYSSEY_SPECTATOR_TOKEN"),
        ([NOWHERE, "--token", TOKEN, "--overwrite"], "--overwrite requires --save."),
        ([NOWHERE, "--token", TOKEN, "--seconds", "0"], "0.0 is not in the range"),
        ([NOWHERE, "--token", TOKEN, "--seconds", "nan"], "nan is not a number"),
        (["--token", TOKEN], "Missing argument 'WEBRTC_URL'"),
    ],
)
def test_wrong_usage_exits_with_code_2(arguments: list[str], expected: str) -> None:
    result = odyssey("watch", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr
    assert TOKEN not in result.output


def test_invalid_url_is_an_error() -> None:
    result = odyssey("watch", "ftp://x", "--token", TOKEN)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: webrtc_url must be an http or https URL, such as https://host/stream, got another value.\n"
    )


def test_token_is_read_from_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_SPECTATOR_TOKEN", TOKEN)
    assert "got no answer" in odyssey("watch", NOWHERE).stderr
    shown = " ".join(odyssey("watch", "--help").stdout.split())
    assert "environment variable ODYSSEY_SPECTATOR_TOKEN: other users of the machine can read command lines" in shown
    assert TOKEN not in shown
