"""Tests of the JSON form and the text form of scenarios."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.explore.scenario import Actor, ChaosStep, Scenario, ScenarioError, Step
from odyssey_mock.explore.scenario_generator import draw


@given(st.integers(0, 2**32), st.sampled_from(["light", "full"]))
def test_scenario_survives_json_round_trip(seed: int, fidelity: Any) -> None:
    scenario = draw(seed, fidelity)
    text = json.dumps(scenario.to_json())
    again = Scenario.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again == scenario


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data.update(format=0), "format 1, got 0"),
        (lambda data: data.pop("actors"), "KeyError: 'actors'"),
        (lambda data: data["actors"][0]["steps"].append({"leap": 1}), "TypeError"),
        (lambda data: data.update(weather=3), "TypeError"),
    ],
)
def test_invalid_scenario_object_is_rejected(spoil: Any, says: str) -> None:
    data = draw(0).to_json()
    spoil(data)
    with pytest.raises(ScenarioError, match=says):
        Scenario.from_json(data)


def test_json_other_than_an_object_is_rejected() -> None:
    with pytest.raises(ScenarioError, match="expected a scenario"):
        Scenario.from_json([])


def test_text_form_lists_all_parts() -> None:
    scenario = Scenario(
        seed=7,
        fidelity="light",
        settings={"fps": 4},
        actors=(
            Actor("client-1", 0, {}, (Step("connect"), Step("interact", 0.5, {"prompt": "snow"}, "cancel", 0.1))),
            Actor("client-2", 1, {}, ()),
        ),
        faults=({"at": "stream.start", "do": "silent"},),
        chaos=(ChaosStep(3.0, "cut", {"host": "client-1"}),),
    )
    assert str(scenario).splitlines() == [
        "seed 7, light, settings fps=4",
        "faults:",
        "  at='stream.start', do='silent'",
        "weather:",
        "  at 3 s cut host='client-1'",
        "client-1 (account 0):",
        "  after 0 s connect",
        "  after 0.5 s interact prompt='snow', cancelled after 0.1 s",
    ]
    assert scenario.size == 4
