"""What a trace says about its run."""

import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_mock.trace.run_information import command, commit, versions


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/usr/bin/pytest", "-k", "a b"], "pytest -k 'a b'"),
        (["/lib/pytest/__main__.py", "-q"], "python -m pytest -q"),
        ([], Path(sys.executable).name),
        (["pytest", "--api-key", "hunter2 and more", "-x"], "pytest --api-key '***' -x"),
        (["pytest", "--api-key=hunter2 and more", "-x"], "pytest '--api-key=***' -x"),
        (["pytest", "--token", "-x", "a"], "pytest --token -x a"),
    ],
)
def test_command_can_be_repeated_and_has_no_secrets(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)

    assert command() == expected


def test_versions_name_packages_and_python() -> None:
    assert versions().keys() >= {"odyssey_client", "odyssey_mock", "aiortc", "python", "platform"}


def test_commit_is_that_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)

    assert len(commit(tmp_path) or "") == 40


def test_directory_without_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert commit(tmp_path) is None


def test_ci_variable_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "abc123")

    assert commit(tmp_path) == "abc123"
