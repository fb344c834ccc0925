"""The pytest markers of the plugin as functions, whose keywords an editor completes and a type checker checks.

::

    from odyssey_mock.testing import markers

    @markers.odyssey(clock="manual", streamers=1)
    async def test_a_second_session_is_refused(odyssey_mock): ...

`@pytest.mark.odyssey(clock="manual", streamers=1)` is the same to pytest, and nothing to a type checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import pytest

from odyssey_mock.settings import Plan, SettingsOverrides, SimulatedOverrides

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity
    from odyssey_mock.testing.chaos import Chaos


class MarkerKeywords(SettingsOverrides, total=False):
    """What `odyssey` takes: settings of the mock by name, and its plan."""

    plan: Plan


class SimulatedMarkerKeywords(SimulatedOverrides, total=False):
    """What `odyssey_sim` takes: the same without what a simulated world decides, and how the test is run."""

    plan: Plan
    seeds: int
    depth: Fidelity
    weather: Chaos
    timeout: float


def odyssey(**settings: Unpack[MarkerKeywords]) -> pytest.MarkDecorator:
    """Mark a test with settings of its `odyssey_mock`, as `MockOdyssey` takes them by name."""
    return pytest.mark.odyssey(**settings)


def odyssey_sim(**keywords: Unpack[SimulatedMarkerKeywords]) -> pytest.MarkDecorator:
    """Mark a test to be run in a simulated world, once for each seed.

    Args:
        **keywords: `seeds` (50), how many; `depth`, `light` or `full`, which is with real WebRTC; `weather`, what may
            befall the test; `timeout` (600), virtual seconds that one seed may take; and settings of the mock.
    """
    return pytest.mark.odyssey_sim(**keywords)
