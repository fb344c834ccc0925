"""Tests of drawing scenarios from seeds: reproducibility, validity, and coverage of steps, faults and disturbances."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import AdvancedConfig
from odyssey_mock.explore import scenario_generator as drawing
from odyssey_mock.explore.actions import ACTIONS
from odyssey_mock.explore.chaos import CHAOS
from odyssey_mock.explore.scenario import Scenario
from odyssey_mock.explore.scenario_generator import STEPS, draw
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.faults.fault import Fault
from odyssey_mock.settings import Settings
from odyssey_mock.sim.randomness import Randomness


@cache
def many() -> Sequence[Scenario]:
    return [draw(seed) for seed in range(1500)]


@given(st.integers(0, 2**64))
def test_same_seed_draws_same_scenario(seed: int) -> None:
    assert draw(seed) == draw(seed)


def test_drawn_faults_settings_and_limits_are_valid() -> None:
    for scenario in many():
        for fault in scenario.faults:
            Fault.of(fault)
        Settings().replace(**scenario.settings)  # type: ignore[arg-type]  # JSON, validated by Settings
        for actor in scenario.actors:
            AdvancedConfig(**actor.advanced)  # type: ignore[arg-type]  # JSON, validated by AdvancedConfig


def test_all_steps_disturbances_and_faults_are_drawn() -> None:
    steps = Counter(step.do for scenario in many() for actor in scenario.actors for step in actor.steps)
    assert steps.keys() == STEPS.keys() == ACTIONS.keys()
    assert {each.what for scenario in many() for each in scenario.chaos} == CHAOS.keys()
    assert {fault["at"] for scenario in many() for fault in scenario.faults} == POINTS.keys()
    assert {step.manner for scenario in many() for actor in scenario.actors for step in actor.steps} == {
        "wait",
        "go on",
        "cancel",
    }


def test_every_fault_parameter_has_drawn_values() -> None:
    parameters = {name for point in POINTS.values() for action in point.actions.values() for name in action.parameters}
    assert set(drawing._VALUES) == parameters


def test_drawn_limits_are_fields_of_advanced_config() -> None:
    known = {each.name for each in fields(AdvancedConfig)}
    assert {name for scenario in many() for actor in scenario.actors for name in actor.advanced} <= known


def test_another_fault_changes_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    before = draw(3)
    monkeypatch.setattr(drawing, "_faults", lambda chance: [{"at": "peer.ice", "do": "never"}, chance.random()][:1])
    after = draw(3)
    assert after.faults != before.faults
    assert (after.actors, after.chaos, after.settings) == (before.actors, before.chaos, before.settings)


def test_random_streams_differ_between_seeds() -> None:
    assert Randomness(1).stream("faults").random() != Randomness(2).stream("faults").random()
