"""`scripts/test-needs` names the packages that a machine lacks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"chromium", "firefox-esr", "nodejs", "npm", "ffmpeg", "zsh", "fish"}
"""Packages whose programs are only looked for on PATH, on every system."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sh")
def test_machine_without_programs_lacks_all_packages(tmp_path: Path) -> None:
    # Of the programs on PATH, the script itself runs only these.
    for name in ("sh", "dirname", "uname"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)

    printed = subprocess.run(
        ["sh", ROOT / "scripts/test-needs", "--print-packages"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert set(printed.split()) >= PACKAGES
