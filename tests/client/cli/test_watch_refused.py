"""`odyssey watch` where nothing is sent, or nobody answers."""

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


def test_a_file_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    there = tmp_path / "there.mp4"
    there.write_bytes(b"a film")
    for path, code, message in (
        (there, "file_exists", f"{there} is there already: choose another path; --overwrite replaces it."),
        (tmp_path / "none" / "a.mp4", "cannot_write", "No such file or directory. Choose another path with --save."),
        (tmp_path, "cannot_write", "Is a directory. Choose another path with --save."),
    ):
        result = odyssey("watch", NOWHERE, "--token", TOKEN, "--save", path, "--json")
        error = document(result)["error"]
        assert (result.exit_code, error["code"]) == (1, code)
        assert error["message"].endswith(message)
    assert there.read_bytes() == b"a film"
    assert names(tmp_path) == ["there.mp4"]


def test_with_overwrite_a_file_that_is_there_is_no_reason_to_refuse_and_stays_until_there_is_another(
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
        ([NOWHERE], "Put the spectator token into the environment variable ODYSSEY_SPECTATOR_TOKEN, or --token T."),
        ([NOWHERE, "--token", ""], "Put the spectator token into the environment variable"),
        ([NOWHERE, "--token", TOKEN, "--overwrite"], "--overwrite needs --save."),
        ([NOWHERE, "--token", TOKEN, "--seconds", "0"], "0.0 is not in the range"),
        ([NOWHERE, "--token", TOKEN, "--seconds", "nan"], "nan is no number"),
        (["--token", TOKEN], "Missing argument 'WEBRTC_URL'"),
    ],
)
def test_a_wrong_call_is_told_with_exit_code_2(arguments: list[str], expected: str) -> None:
    result = odyssey("watch", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr
    assert TOKEN not in result.output


def test_what_is_no_url_is_told() -> None:
    result = odyssey("watch", "ftp://x", "--token", TOKEN)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: webrtc_url must be an http or https URL, such as https://host/stream, got something else.\n"
    )


def test_the_token_can_come_from_the_environment_and_help_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_SPECTATOR_TOKEN", TOKEN)
    assert "got no answer" in odyssey("watch", NOWHERE).stderr
    shown = " ".join(odyssey("watch", "--help").stdout.split())
    assert (
        "environment variable ODYSSEY_SPECTATOR_TOKEN: what stands on a command line can be read by everybody" in shown
    )
    assert TOKEN not in shown
