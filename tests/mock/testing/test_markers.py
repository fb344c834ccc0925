"""Tests of the marker functions: they have typed keywords and return the same marks as `pytest.mark`."""

from typing import get_type_hints

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.settings import SimulatedOverrides
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.world import World
from odyssey_mock.testing import markers
from odyssey_mock.testing.chaos import Chaos

TYPES = {"Fidelity": Fidelity, "Chaos": Chaos}
"""Types that the module `markers` imports only under `TYPE_CHECKING`."""


def test_functions_return_marks_of_pytest() -> None:
    assert markers.odyssey(clock="manual", fps=5).mark == pytest.mark.odyssey(clock="manual", fps=5).mark
    assert markers.odyssey_sim(seeds=3, weather=True).mark == pytest.mark.odyssey_sim(seeds=3, weather=True).mark
    assert markers.odyssey_live().mark == pytest.mark.odyssey_live().mark


@markers.odyssey(plan="unlimited", fps=5)
async def test_mock_has_settings_of_marker(odyssey_mock: MockOdyssey) -> None:
    assert (odyssey_mock.settings.fps, odyssey_mock.settings.stream_duration) == (5, None)


@markers.odyssey_sim(seeds=2, weather="calm", streamers=7)
async def test_simulated_mock_has_settings_of_marker(odyssey_sim: World) -> None:
    assert odyssey_sim.mock.settings.streamers == 7


def test_simulated_marker_accepts_own_keywords_and_settings() -> None:
    keywords = get_type_hints(markers.SimulatedMarkerKeywords, localns=TYPES)
    own = {name for name in keywords if name not in get_type_hints(SimulatedOverrides)}
    assert own == {"plan", "seeds", "depth", "weather", "timeout"}


def test_type_checker_rejects_unknown_keywords() -> None:
    markers.odyssey(streamer=3)  # type: ignore[call-arg]
    markers.odyssey(fps="many")  # type: ignore[arg-type]
    markers.odyssey_sim(clock="manual")  # type: ignore[call-arg]
    markers.odyssey_sim(seeds="all")  # type: ignore[arg-type]
