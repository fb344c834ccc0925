"""A scenario, as data: who does what and when, what fails, and what the network and the clocks do meanwhile.

Drawn from a seed (`scenario_generator.py`), shortened (`shrink.py`), written to a file and played (`explorer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.sim.fidelity import Fidelity

type Manner = Literal["wait", "go on", "cancel"]
"""Whether the actor waits for its call, goes on while it runs, or cancels it after a while."""

FORMAT = 1
"""Of the JSON form."""


class ScenarioError(ValueError):
    """A text is no scenario."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an actor does.

    Attributes:
        do: which, a name in `ACTIONS` (`actions.py`).
        wait: seconds before it.
        arguments: what it is given.
        manner: what becomes of the call.
        patience: seconds after which it is cancelled, with the manner `cancel`.
    """

    do: str
    wait: float = 0.0
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    manner: Manner = "wait"
    patience: float = 0.0

    def __str__(self) -> str:
        more = "".join(f" {name}={value!r}" for name, value in self.arguments.items())
        how = {"wait": "", "go on": ", goes on", "cancel": f", cancels after {self.patience:g} s"}[self.manner]
        return f"after {self.wait:g} s {self.do}{more}{how}"


@dataclass(frozen=True, slots=True)
class Actor:
    """A machine with one client on it.

    Attributes:
        host: its name.
        account: actors with the same number share an API key.
        advanced: fields of `AdvancedConfig`.
        pause: seconds that each of its handlers takes; they are coroutines then.
    """

    host: str
    account: int
    advanced: Mapping[str, JSON]
    steps: tuple[Step, ...]
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class ChaosStep:
    """Something that happens to all: a name in `CHAOS` (`chaos.py`), so many seconds after the beginning."""

    at: float
    what: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)

    def __str__(self) -> str:
        more = "".join(f" {name}={value!r}" for name, value in self.arguments.items())
        return f"at {self.at:g} s {self.what}{more}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario.

    Attributes:
        seed: of all else that is random in it.
        settings: of the mock.
        faults: as `mock.faults.add` takes them, there from the beginning.
    """

    seed: int
    fidelity: Fidelity
    settings: Mapping[str, JSON]
    actors: tuple[Actor, ...]
    faults: tuple[Mapping[str, JSON], ...] = ()
    chaos: tuple[ChaosStep, ...] = ()

    @property
    def size(self) -> int:
        """How much there is in it: steps, faults and chaos."""
        return sum(len(actor.steps) for actor in self.actors) + len(self.faults) + len(self.chaos)

    def to_json(self) -> dict[str, Any]:  # Any: JSON, for json.dumps
        """Give it as a JSON object."""
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
    def from_json(cls, data: Any) -> Self:  # Any: JSON, as json.loads has it
        """Read what `to_json` gave.

        Raises:
            ScenarioError: it is something else.
        """
        try:
            if data["format"] != FORMAT:
                raise ScenarioError(f"expected a scenario of format {FORMAT}, got {data['format']!r}: make it anew")
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
                f"expected a scenario as `--output` writes it: {type(error).__name__}: {error}"
            ) from error

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}, {self.fidelity}"
                + _listed("settings", [f"{k}={v!r}" for k, v in self.settings.items()]),
                *_block("faults", [_fault(fault) for fault in self.faults]),
                *_block("chaos", [str(each) for each in self.chaos]),
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
