"""Tests of the code version: the commit of the git work tree, or the package version if there is no work tree."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from odyssey_mock.explore.code_version import DISTRIBUTION

ROOT = Path(__file__).parents[3]
PACKAGES = ("odyssey_client", "odyssey_mock")
SAY = "from odyssey_mock.explore.code_version import commit, fingerprint; print(commit(), fingerprint())"


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Create a git work tree with untracked copies of the packages; return a function that runs git in it."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def run(*arguments: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        ran = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return ran.stdout.strip()

    run("init")
    (tmp_path / "notes.txt").write_text("of another project")
    run("add", "notes.txt")
    run("commit", "-m", "another project")
    return run


def said(directory: Path, **environment: str) -> tuple[str, str]:
    ran = subprocess.run(
        [sys.executable, "-B", "-c", SAY],
        capture_output=True,
        text=True,
        check=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), **environment},
    )
    commit, code = ran.stdout.split()
    return commit, code


def test_version_is_commit_and_marks_uncommitted_changes(tmp_path: Path, git: Callable[..., str]) -> None:
    version = importlib.metadata.version(DISTRIBUTION)
    before, code = said(tmp_path)
    assert before == version, f"expected the package version {version} without tracked files, got {before}"

    git("add", "odyssey_client", "odyssey_mock")
    git("commit", "-m", "its own")
    head = git("rev-parse", "--short", "HEAD")
    (tmp_path / "notes.txt").write_text("changed, but not part of the packages")
    assert said(tmp_path, GIT_DIR="/nowhere") == (head, code)

    with (tmp_path / "odyssey_client" / "platform.py").open("a") as module:
        module.write("# changed\n")
    changed, other = said(tmp_path)
    assert changed == f"{head}+"
    assert other != code


def test_version_does_not_depend_on_the_directory(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, here / package)
        shutil.copytree(here / package, there / package, ignore=shutil.ignore_patterns("__pycache__"))
    assert said(here) == said(there)
