"""Tests that both packages and their commands report the version of their distribution."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import odyssey_client
import odyssey_mock
from odyssey_client.version import client_version

LIMIT_S = 60.0
"""Timeout in seconds of a command, which takes less than 1 s."""


def test_both_packages_report_the_distribution_version() -> None:
    assert odyssey_client.__version__ == odyssey_mock.__version__ == metadata.version("odyssey-testkit")


def test_version_is_0_without_installed_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    client_version.cache_clear()
    try:
        assert odyssey_client.__version__ == "0"
    finally:
        client_version.cache_clear()


@pytest.mark.parametrize("name", ["odyssey", "odyssey-mock"])
def test_installed_command_prints_the_distribution_version(name: str) -> None:
    command = shutil.which(name, path=Path(sys.executable).parent)
    assert command is not None, f"expected the command {name} beside {sys.executable}, where pip installs it"
    ran = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert (ran.returncode, ran.stdout.split()[-1:]) == (0, [metadata.version("odyssey-testkit")]), ran.stderr
