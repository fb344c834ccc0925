"""Tests of reading scenario files: an invalid file is rejected before a scenario is run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odyssey_mock.explore.scenario import ScenarioError
from odyssey_mock.explore.scenario_file import read
from odyssey_mock.explore.scenario_generator import draw

KEPT = sorted((Path(__file__).parents[3] / "fixtures" / "scenarios").glob("*.json"))


def written(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("seed", range(0, 200, 7))
def test_drawn_scenario_can_be_stored_and_read(tmp_path: Path, seed: int) -> None:
    scenario = draw(seed, "light")
    assert read(written(tmp_path / "scenario.json", scenario.to_json())) == scenario


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_scenario_can_be_read(path: Path) -> None:
    assert read(path).actors


def actor(**changes: object) -> Callable[[Any], None]:
    return lambda data: data["actors"][0].update(changes)


def step(**changes: object) -> Callable[[Any], None]:
    return lambda data: data["actors"][0]["steps"][0].update(changes)


def weather(**changes: object) -> Callable[[Any], None]:
    return lambda data: data.update(weather=[{"at": 1.0, "what": "reset", "arguments": {}, **changes}])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data.update(seed="x"), "seed: expected a whole number, 0 or more, got 'x'"),
        (lambda data: data.update(seed=-1), "seed: expected a whole number, 0 or more, got -1"),
        (lambda data: data.update(depth="deep"), "depth: expected one of 'light', 'full', got 'deep'"),
        (lambda data: data["settings"].update(color=1), "settings: unknown setting 'color'"),
        (lambda data: data["settings"].update(fps=-1), "settings: fps must be "),
        (lambda data: data.update(faults=[{"at": "nowhere", "do": "x"}]), "faults: unknown fault point 'nowhere'"),
        (lambda data: data.update(faults=[3]), "faults: a fault must be an object"),
        (actor(host="odyssey"), "host: expected a name that is not 'odyssey' or 'world', got 'odyssey'"),
        (actor(host="world"), "host: expected a name"),
        (actor(account="1"), "account of client-1: expected a whole number, got '1'"),
        (actor(pause=-1), "pause of client-1: expected seconds, 0 or more, got -1"),
        (actor(advanced={"haste": 1}), "advanced of client-1: .*'haste'"),
        (actor(advanced={"max_retries": -1}), "advanced of client-1: .*max_retries must be"),
        (step(do="leap"), "step 1 of client-1: expected one of 'connect', .*, got 'leap'"),
        (step(manner="run"), "step 1 of client-1, manner: expected one of 'wait', 'go on', 'cancel', got 'run'"),
        (step(wait="long"), "step 1 of client-1, wait: expected seconds, 0 or more, got 'long'"),
        (step(wait=True), "step 1 of client-1, wait: expected seconds"),
        (step(wait=-0.5), "step 1 of client-1, wait: expected seconds, 0 or more, got -0.5"),
        (step(patience=10**400), "step 1 of client-1, patience: expected seconds, 0 or more, got 1000"),
        (step(patience=float("nan")), "step 1 of client-1, patience: expected seconds, 0 or more, got nan"),
        (step(arguments=None), "step 1 of client-1, arguments: expected an object, got None"),
        (weather(what="flood"), "weather 1: expected one of 'latency', .*, got 'flood'"),
        (weather(at=float("inf")), "weather 1, at: expected seconds, 0 or more, got inf"),
        (weather(arguments=[]), r"weather 1, arguments: expected an object, got \[\]"),
        (weather(arguments={"host": "unknown"}), "weather 1, host: expected one of 'client-1', .*'odyssey', got 'unk"),
    ],
)
def test_invalid_value_is_rejected_with_its_place(tmp_path: Path, spoil: Callable[[Any], None], says: str) -> None:
    data = draw(3, "light").to_json()
    spoil(data)
    with pytest.raises(ScenarioError, match=says):
        read(written(tmp_path / "scenario.json", data))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe"])
def test_file_without_json_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scenario.json"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match="expected JSON as written by `odyssey-mock explore --output`, got "):
        read(path)
