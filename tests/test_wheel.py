"""Tests of the packages without what only developers of this project need, as a wheel contains them."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("odyssey_client", "odyssey_mock")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the modules that pyproject.toml includes in a wheel."""
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folder = tmp_path_factory.mktemp("wheel")
    assert target["packages"] == list(PACKAGES)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in target["exclude"]:
        excluded = folder / path
        assert excluded.exists(), f"expected {path}, which pyproject.toml excludes from the wheel, to exist"
        if excluded.is_dir():
            shutil.rmtree(excluded)
        else:
            excluded.unlink()
    return folder


def run(wheel: Path, *arguments: str) -> str:
    """Run Python with the modules of the wheel, and return its output."""
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=wheel,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, f"expected exit code 0, got {ran.returncode}:\n{ran.stderr}"
    return ran.stdout


def test_commands_of_the_wheel_are_those_of_users(wheel: Path) -> None:
    shown = run(wheel, "-c", "from odyssey_mock.cli import main; main(['--help'], prog_name='odyssey-mock')")
    commands = [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines() if line[2:3].strip()]
    assert commands == ["chaos", "demo", "doctor", "exec", "serve", "trace", "verify"]
