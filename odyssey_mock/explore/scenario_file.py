"""Reads and validates scenario files, so that an error in a file is reported before the scenario is run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from odyssey_client import AdvancedConfig, OdysseyConfigError
from odyssey_mock.explore.actions import ACTIONS
from odyssey_mock.explore.chaos import CHAOS
from odyssey_mock.explore.scenario import Actor, Manner, Scenario, ScenarioError
from odyssey_mock.faults.fault import Fault, FaultError
from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.settings import Settings, UnknownSettingError
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run_log import WORLD
from odyssey_mock.sim.world import SERVER

type Check = tuple[str, bool, str, object]
"""A check of one value: its place in the file, whether it is valid, a description of valid values, and the value."""


def read(path: Path) -> Scenario:
    """Read and validate a scenario file, as written by `odyssey-mock explore --output`.

    Raises:
        OSError: the file cannot be read.
        ScenarioError: the file is not JSON, or its scenario is invalid.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ScenarioError(
            f"expected JSON as written by `odyssey-mock explore --output`, got invalid JSON: {error}"
        ) from error
    scenario = Scenario.from_json(data)
    for where, may_be, expected, got in _checks(scenario):
        if not may_be:
            raise ScenarioError(f"{where}: expected {expected}, got {got!r}")
    _taken("settings", lambda: Settings().replace(**_any(scenario.settings)))
    for fault in scenario.faults:
        _taken("faults", lambda fault=fault: Fault.of(fault))  # type: ignore[misc]  # the default binds the loop variable
    for actor in scenario.actors:
        _taken(f"advanced of {actor.host}", lambda actor=actor: AdvancedConfig(**_any(actor.advanced)))  # type: ignore[misc]
    return scenario


def _checks(scenario: Scenario) -> Iterator[Check]:
    yield "seed", type(scenario.seed) is int and scenario.seed >= 0, "a whole number, 0 or more", scenario.seed
    yield _choice("depth", scenario.fidelity, get_args(Fidelity.__value__))
    yield _object("settings", scenario.settings)
    for actor in scenario.actors:
        yield from _actor_checks(actor)
    hosts = [*(actor.host for actor in scenario.actors), SERVER]
    for number, step in enumerate(scenario.chaos, 1):
        where = f"weather {number}"
        yield _choice(where, step.what, CHAOS)
        yield _duration(f"{where}, at", step.at)
        yield _object(f"{where}, arguments", step.arguments)
        yield _choice(f"{where}, host", step.arguments.get("host", SERVER), hosts)


def _actor_checks(actor: Actor) -> Iterator[Check]:
    yield "host", _is_name(actor.host), f"a name that is not {SERVER!r} or {WORLD!r}", actor.host
    yield f"account of {actor.host}", type(actor.account) is int, "a whole number", actor.account
    yield _object(f"advanced of {actor.host}", actor.advanced)
    yield _duration(f"pause of {actor.host}", actor.pause)
    for number, step in enumerate(actor.steps, 1):
        where = f"step {number} of {actor.host}"
        yield _choice(where, step.do, ACTIONS)
        yield _choice(f"{where}, manner", step.manner, get_args(Manner.__value__))
        yield _duration(f"{where}, wait", step.wait)
        yield _duration(f"{where}, patience", step.patience)
        yield _object(f"{where}, arguments", step.arguments)


def _is_name(got: object) -> bool:
    return isinstance(got, str) and got not in {"", SERVER, WORLD}


def _choice(where: str, got: object, choices: Iterable[str]) -> Check:
    known = list(choices)
    return where, got in known, f"one of {', '.join(map(repr, known))}", got


def _duration(where: str, got: object) -> Check:
    may_be = isinstance(got, int | float) and not isinstance(got, bool) and 0 <= got <= sys.float_info.max
    return where, may_be, "seconds, 0 or more", got


def _object(where: str, got: object) -> Check:
    return where, isinstance(got, Mapping), "an object", got


def _taken(where: str, take: Callable[[], object]) -> None:
    """Call `take`, which validates a value. Convert its error to a `ScenarioError` that begins with `where`."""
    try:
        take()
    except (SettingsError, UnknownSettingError, FaultError, OdysseyConfigError, TypeError) as error:
        raise ScenarioError(f"{where}: {error}") from error


def _any(fields: Any) -> Any:  # Any: JSON, validated by the function that receives it
    return fields
