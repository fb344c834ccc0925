"""Lives are drawn from a seed, and there is something of everything in them."""

from collections import Counter
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import AdvancedConfig
from odyssey_mock.explore import scenario_generator as drawing
from odyssey_mock.explore.actions import ACTIONS
from odyssey_mock.explore.chaos import CHAOS
from odyssey_mock.explore.scenario_generator import STEPS, draw
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.faults.fault import Fault
from odyssey_mock.settings import Settings
from odyssey_mock.sim.randomness import Randomness

MANY = [draw(seed) for seed in range(1500)]


@given(st.integers(0, 2**64))
def test_the_same_seed_is_the_same_life(seed: int) -> None:
    assert draw(seed) == draw(seed)


def test_every_fault_setting_and_limit_that_is_drawn_can_be() -> None:
    for scenario in MANY:
        for fault in scenario.faults:
            Fault.of(fault)
        Settings().replace(**scenario.settings)  # type: ignore[arg-type]  # JSON, which it judges itself
        for actor in scenario.actors:
            AdvancedConfig(**actor.advanced)  # type: ignore[arg-type]  # JSON, which it judges itself


def test_every_step_kind_of_weather_and_fault_point_comes_up() -> None:
    steps = Counter(step.do for scenario in MANY for actor in scenario.actors for step in actor.steps)
    assert steps.keys() == STEPS.keys() == ACTIONS.keys()
    assert {each.what for scenario in MANY for each in scenario.chaos} == CHAOS.keys()
    assert {fault["at"] for scenario in MANY for fault in scenario.faults} == POINTS.keys()
    assert {step.manner for scenario in MANY for actor in scenario.actors for step in actor.steps} == {
        "wait",
        "go on",
        "cancel",
    }


def test_every_field_of_the_limits_that_is_drawn_is_one() -> None:
    known = {each.name for each in fields(AdvancedConfig)}
    assert {name for scenario in MANY for actor in scenario.actors for name in actor.advanced} <= known


def test_one_fault_more_changes_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    before = draw(3)
    monkeypatch.setattr(drawing, "_faults", lambda chance: [{"at": "peer.ice", "do": "never"}, chance.random()][:1])
    after = draw(3)
    assert after.faults != before.faults
    assert (after.actors, after.chaos, after.settings) == (before.actors, before.chaos, before.settings)


def test_the_streams_of_a_seed_are_its_own() -> None:
    assert Randomness(1).stream("faults").random() != Randomness(2).stream("faults").random()
