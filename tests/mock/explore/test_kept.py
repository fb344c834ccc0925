"""Tests that the scenarios in `fixtures/scenarios` violate no rule. Each of them revealed a bug, now fixed.

Each file contains the shrunk scenario instead of its seed, because a later version may draw a different scenario from
the same seed.
"""

import json
from pathlib import Path

import pytest

from odyssey_mock.explore.explorer import play
from odyssey_mock.explore.scenario import Scenario

KEPT = sorted((Path(__file__).parents[3] / "fixtures" / "scenarios").glob("*.json"))


def test_kept_scenarios_are_found() -> None:
    assert len(KEPT) >= 3


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_scenario_violates_no_rule(path: Path) -> None:
    scenario = Scenario.from_json(json.loads(path.read_text(encoding="utf-8")))
    outcome = play(scenario.seed, scenario=scenario)
    assert outcome.failures == ()
    assert outcome.steps == sum(len(actor.steps) for actor in scenario.actors)
