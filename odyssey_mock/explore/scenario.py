"""A scenario as data: steps of actors, faults of the mock, and disturbances of the network, the server and the clocks.

Scenarios are drawn from seeds (`scenario_generator.py`), shrunk (`shrink.py`), stored in files, and run
(`explorer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.sim.fidelity import Fidelity

type Manner = Literal["wait", "go on", "cancel"]
"""Whether the actor waits for its call, continues with the next step, or cancels the call after `Step.patience`."""

FORMAT = 1
"""Version of the JSON format of scenario files."""


class ScenarioError(ValueError):
    """A scenario is invalid."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an actor, which calls its client.

    Attributes:
        do: name of the step in `ACTIONS` (`actions.py`).
        wait: seconds to wait before the step.
        arguments: arguments of the step.
        manner: whether the actor waits for the call, continues at once, or cancels the call.
        patience: seconds before the call is cancelled, if `manner` is `cancel`.
    """

    do: str
    wait: float = 0.0
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    manner: Manner = "wait"
    patience: float = 0.0

    def __str__(self) -> str:
        more = "".join(f" {name}={value!r}" for name, value in self.arguments.items())
        how = {"wait": "", "go on": ", not awaited", "cancel": f", cancelled after {self.patience:g} s"}[self.manner]
        return f"after {self.wait:g} s {self.do}{more}{how}"


@dataclass(frozen=True, slots=True)
class Actor:
    """A simulated host with one client, and the steps that the client performs.

    Attributes:
        host: name of the host.
        account: number of the account; actors with the same number share an API key.
        advanced: fields of `AdvancedConfig`.
        pause: seconds that each event handler takes. With 0, handlers are plain functions, otherwise coroutines.
    """

    host: str
    account: int
    advanced: Mapping[str, JSON]
    steps: tuple[Step, ...]
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class ChaosStep:
    """A disturbance that begins `at` seconds after the start of the run. `what` is a key of `CHAOS` (`chaos.py`)."""

    at: float
    what: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)

    def __str__(self) -> str:
        more = "".join(f" {name}={value!r}" for name, value in self.arguments.items())
        return f"at {self.at:g} s {self.what}{more}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A complete scenario.

    Attributes:
        seed: seed of all random numbers in the run.
        settings: settings of the mock.
        faults: arguments of `mock.faults.add` for the faults that are added before the run.
    """

    seed: int
    fidelity: Fidelity
    settings: Mapping[str, JSON]
    actors: tuple[Actor, ...]
    faults: tuple[Mapping[str, JSON], ...] = ()
    chaos: tuple[ChaosStep, ...] = ()

    @property
    def size(self) -> int:
        """Number of steps, faults and disturbances in the scenario."""
        return sum(len(actor.steps) for actor in self.actors) + len(self.faults) + len(self.chaos)

    def to_json(self) -> dict[str, Any]:  # Any: JSON, for json.dumps
        """Return the scenario as a JSON object."""
        return {
            "format": FORMAT,
            "seed": self.seed,
            "depth": self.fidelity,
            "settings": dict(self.settings),
            "actors": [
                {
                    "host": actor.host,
                    "account": actor.account,
                    "advanced": dict(actor.advanced),
                    "pause": actor.pause,
                    "steps": [
                        {
                            "do": step.do,
                            "wait": step.wait,
                            "arguments": dict(step.arguments),
                            "manner": step.manner,
                            "patience": step.patience,
                        }
                        for step in actor.steps
                    ],
                }
                for actor in self.actors
            ],
            "faults": [dict(fault) for fault in self.faults],
            "weather": [{"at": each.at, "what": each.what, "arguments": dict(each.arguments)} for each in self.chaos],
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:  # Any: JSON from json.loads
        """Create a scenario from a JSON object that `to_json` returned.

        Raises:
            ScenarioError: the JSON has another structure than `to_json` returns, or another format version.
        """
        try:
            if data["format"] != FORMAT:
                raise ScenarioError(
                    f"expected a scenario of format {FORMAT}, got {data['format']!r}: create the file again"
                )
            return cls(
                seed=data["seed"],
                fidelity=data["depth"],
                settings={
                    name: tuple(value) if isinstance(value, list) else value for name, value in data["settings"].items()
                },
                actors=tuple(
                    Actor(
                        host=actor["host"],
                        account=actor["account"],
                        advanced=actor["advanced"],
                        pause=actor.get("pause", 0.0),
                        steps=tuple(Step(**step) for step in actor["steps"]),
                    )
                    for actor in data["actors"]
                ),
                faults=tuple(data["faults"]),
                chaos=tuple(ChaosStep(**each) for each in data["weather"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ScenarioError(
                f"expected a scenario as written by `--output`, got invalid content ({type(error).__name__}: {error})"
            ) from error

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}, {self.fidelity}"
                + _listed("settings", [f"{k}={v!r}" for k, v in self.settings.items()]),
                *_block("faults", [_fault(fault) for fault in self.faults]),
                *_block("weather", [str(each) for each in self.chaos]),
                *(
                    line
                    for actor in self.actors
                    for line in _block(f"{actor.host} (account {actor.account})", [str(step) for step in actor.steps])
                ),
            ]
        )


def _listed(title: str, items: Sequence[str]) -> str:
    return f", {title} {', '.join(items)}" if items else ""


def _block(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _fault(fault: Mapping[str, JSON]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in fault.items())
