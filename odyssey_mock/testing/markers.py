"""The pytest markers of the plugin as functions, with keywords for editors and type checkers.

::

    from odyssey_mock.testing import markers

    @markers.odyssey(clock="manual", streamers=1)
    async def test_second_session_is_rejected(odyssey_mock): ...

`@pytest.mark.odyssey(clock="manual", streamers=1)` does the same, but without completion and type
checks of its keywords.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

import pytest

from odyssey_mock.settings import Plan, SettingsOverrides, SimulatedOverrides

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity
    from odyssey_mock.testing.chaos import Chaos


class MarkerKeywords(SettingsOverrides, total=False):
    """The keywords of the marker `odyssey`: the settings of the mock, and `plan`."""

    plan: Plan


class SimulatedMarkerKeywords(SimulatedOverrides, total=False):
    """The keywords of the marker `odyssey_sim`: the settings that a simulated test may change, and how to run it."""

    plan: Plan
    seeds: int
    depth: Fidelity
    weather: Chaos
    timeout: float


def odyssey(**settings: Unpack[MarkerKeywords]) -> pytest.MarkDecorator:
    """Mark a test with settings for its fixture `odyssey_mock`: keyword arguments of `MockOdyssey`."""
    return pytest.mark.odyssey(**settings)


def odyssey_sim(**keywords: Unpack[SimulatedMarkerKeywords]) -> pytest.MarkDecorator:
    """Mark an async test to run in a simulated world, once for each seed.

    Args:
        **keywords: settings of the mock, and these:

            - `seeds`: the number of seeds; by default 50.
            - `depth`: `light` (the default) replaces WebRTC by peers without pixels, `full` uses real WebRTC.
            - `weather`: the chaos of the network and the clocks; see `Chaos`.
            - `timeout`: the maximum virtual seconds for each seed; by default 600.
    """
    return pytest.mark.odyssey_sim(**keywords)


def odyssey_chaos(
    *, points: str | Iterable[str] = (), exclude: str | Iterable[str] = (), time_limit: float | None = None
) -> pytest.MarkDecorator:
    """Mark a test with the fixture `odyssey_mock` to run once without a fault, and then once for each fault.

    Args:
        points: glob patterns of the fault points to use, such as `stream.*`, or of `point:action`; by default all
            points that the test reaches.
        exclude: glob patterns of fault points, or of `point:action`, to leave out.
        time_limit: seconds after which a run is interrupted; by default five times the duration of the run without a
            fault, but at least 60.
    """
    return pytest.mark.odyssey_chaos(points=points, exclude=exclude, time_limit=time_limit)


def odyssey_live() -> pytest.MarkDecorator:
    """Mark a test to run only against the real service, with the option `--odyssey-live`."""
    return pytest.mark.odyssey_live()
