"""Tests of the scenarios for the vendor's Python SDK, which is not available to this project's own runs.

A stand-in takes its place: a package `odyssey` that consists of `odyssey_client`, which has the same documented names.
So these tests show that the scenarios can pass and can fail. They show nothing about the vendor's SDK.
"""

from pathlib import Path

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.official_python.scenarios import CHECKS, LANDSCAPE, PORTRAIT, Sdk
from tests.support.pages import ROOT

pytestmark = pytest.mark.odyssey(portrait_size=PORTRAIT, landscape_size=LANDSCAPE)

STAND_IN = f"""
import sys
sys.path.append({str(ROOT)!r})
import odyssey_client

class Odyssey(odyssey_client.Odyssey):
    pass
"""


def stand_in(folder: Path, methods: str = "") -> Sdk:
    """Write the stand-in package into `folder`. `methods` is code of methods that replace methods of the client."""
    package = folder / "odyssey"
    package.mkdir()
    (package / "__init__.py").write_text(STAND_IN + methods)
    return Sdk.at(folder)


async def test_stand_in_passes_every_scenario(odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    results = await stand_in(tmp_path).play(list(CHECKS), odyssey_mock, tmp_path)

    for name, check in CHECKS.items():
        check(results[name], odyssey_mock)


async def test_error_of_a_scenario_is_reported(odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    sdk = stand_in(tmp_path, "    async def simulate(self, **_): raise KeyError('streams')")

    with pytest.raises(AssertionError, match=r"got \{'simulation': \"KeyError: 'streams'\"\}"):
        await sdk.play(["simulation"], odyssey_mock, tmp_path)


async def test_calls_that_send_nothing_are_noticed(odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    sdk = stand_in(tmp_path, "    async def interact(self, prompt): return prompt")
    results = await sdk.play(["live_session"], odyssey_mock, tmp_path)

    with pytest.raises(AssertionError, match=r"\(0, 0\) == \(0, 1\)"):
        CHECKS["live_session"](results["live_session"], odyssey_mock)


def test_wrong_path_is_explained(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="expected a virtual environment or a folder with the package odyssey"):
        Sdk.at(tmp_path)
