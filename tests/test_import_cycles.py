"""Tests that `scripts/import_cycles.py`, which `make lint` runs, finds cycles of imports of every form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT = 60.0
"""Timeout in seconds for one run of the script. A run takes 1 s."""

KINDS = {
    "top": "from shop.till import Till\n",
    "type-only": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from shop.till import Till\n",
    "late": "def open_till():\n    from shop.till import Till\n",
    "of a module": "import shop.till\n",
}


def check(folder: Path, **modules: str) -> subprocess.CompletedProcess[str]:
    """Write a package `shop` with `modules` (source text by name), and run the script on it; return the result."""
    package = folder / "shop"
    package.mkdir()
    for name, text in {"__init__": "", **modules}.items():
        (package / f"{name}.py").write_text(text)
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "import_cycles.py"), "shop"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_import_cycle_of_any_kind_fails(kind: str, tmp_path: Path) -> None:
    checked = check(tmp_path, shelf=KINDS[kind], till="from shop.shelf import Shelf\n")

    assert checked.returncode == 1
    assert "shop.shelf\n    imports shop.till" in checked.stderr
    assert "shop.till\n    imports shop.shelf" in checked.stderr


def test_cycle_through_package_init_fails(tmp_path: Path) -> None:
    checked = check(tmp_path, __init__="from shop.shelf import Shelf\n", shelf="import shop\n")

    assert checked.returncode == 1


def test_package_without_cycles_passes(tmp_path: Path) -> None:
    checked = check(tmp_path, shelf="from shop.till import Till\n", till="import shop.money\n", money="")

    assert (checked.returncode, checked.stderr) == (0, "")
