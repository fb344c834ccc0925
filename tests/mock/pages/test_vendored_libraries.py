"""Tests of the libraries of the web pages: they are those of the npm packages."""

import json
import re
from pathlib import Path

import pytest

from tests.contract.browser.chromium import HERE
from tests.support.requirements import require

VENDOR = Path(__file__).parents[3] / "odyssey_mock/pages/vendor"
ROW = re.compile(
    r"^\| `(?P<file>[\w.-]+)` \| \[(?P<package>\w+)\]\S* \| (?P<version>[\d.]+) \| `(?P<path>[\w./]+)` \|", re.MULTILINE
)
ROWS = {row["file"]: row for row in ROW.finditer((VENDOR / "README.md").read_text())}


def test_table_lists_every_library() -> None:
    files = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}

    assert ROWS.keys() == files


@pytest.mark.parametrize("file", ROWS)
def test_vendored_file_equals_the_package(file: str) -> None:
    row = ROWS[file]
    package = HERE / "node_modules" / row["package"]
    require(None if package.is_dir() else f"the npm package {row['package']} is not installed")

    assert json.loads((package / "package.json").read_text())["version"] == row["version"]
    assert (VENDOR / file).read_bytes() == (package / row["path"]).read_bytes()
    license_file = VENDOR / f"{row['package']}.LICENSE"
    assert license_file.read_bytes() == (package / "LICENSE").read_bytes()
