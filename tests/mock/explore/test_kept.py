"""Scenarios in which something was once found: they hold now, and each is played on every commit.

A scenario is kept as what was shrunk from its seed, and not as the seed: what a seed is drawn to be may change.
"""

import json
from pathlib import Path

import pytest

from odyssey_mock.explore.explorer import play
from odyssey_mock.explore.scenario import Scenario

KEPT = sorted((Path(__file__).parents[3] / "fixtures" / "scenarios").glob("*.json"))


def test_there_are_some() -> None:
    assert len(KEPT) >= 3


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_was_once_found_is_found_no_more(path: Path) -> None:
    scenario = Scenario.from_json(json.loads(path.read_text(encoding="utf-8")))
    outcome = play(scenario.seed, scenario=scenario)
    assert outcome.failures == ()
    assert outcome.steps == sum(len(actor.steps) for actor in scenario.actors)
