"""Tests that the vendor's Python SDK, unchanged, works with the mock.

It is on no package index. The tests run it if `ODYSSEY_OFFICIAL_PYTHON` is the path of a virtual environment in which
it is installed, or of a folder with its package. Otherwise they are skipped, also with `CI=true`.
"""

import os
from pathlib import Path

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.official_python.scenarios import CHECKS, LANDSCAPE, PORTRAIT, Sdk

PATH = os.environ.get("ODYSSEY_OFFICIAL_PYTHON")

pytestmark = [
    pytest.mark.odyssey(portrait_size=PORTRAIT, landscape_size=LANDSCAPE),
    pytest.mark.skipif(
        PATH is None,
        reason="ODYSSEY_OFFICIAL_PYTHON is not set: the path of a virtual environment with the vendor's Python SDK",
    ),
]


@pytest.mark.parametrize("name", CHECKS)
async def test_official_python_sdk_plays_scenario(name: str, odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    results = await Sdk.at(Path(PATH or "")).play([name], odyssey_mock, tmp_path)

    CHECKS[name](results[name], odyssey_mock)
