"""Draws scenarios from seeds.

Each part of a scenario has its own random generator. A change of the code that draws faults therefore does not change
the steps that a seed gives.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import get_args

from odyssey_client.config import Reconnect
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.explore.scenario import Actor, ChaosStep, Manner, Scenario, Step
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.impairment.presets import NETWORK_PRESETS
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.randomness import Randomness
from odyssey_mock.sim.world import SERVER

type Draw = Callable[[random.Random], Mapping[str, JSON]]

PLACES = ("a harbour", "a forest", "a city at night", "the desert", "an old library")
INTERACTIONS = ("it begins to snow", "the sun rises", "a ship comes in", "a sailor waves", "the lights go out")

_SESSION = ("connect", "start", "interact", "interact", "end", "disconnect")
"""The steps of a typical session; further steps are inserted between them."""


def _start(randomness: random.Random) -> Mapping[str, JSON]:
    return {
        "prompt": _prompt(randomness, PLACES),
        "portrait": randomness.random() < 0.5,
        "broadcast": randomness.random() < 0.4,
    }


def _interact(randomness: random.Random) -> Mapping[str, JSON]:
    return {"prompt": _prompt(randomness, INTERACTIONS)}


def _prompt(randomness: random.Random, texts: Sequence[str]) -> str:
    prompt = f"{randomness.choice(texts)} ({randomness.randrange(10_000)})"
    mark = randomness.random()
    if mark < 0.03:
        return f"{prompt} [error:inappropriate_content]"
    if mark < 0.05:
        return f"{prompt} [stall]"
    if mark < 0.2:
        return f"{prompt} [slow:{randomness.randrange(3000)}]"
    return prompt


def _simulate(randomness: random.Random) -> Mapping[str, JSON]:
    prompts = [_prompt(randomness, INTERACTIONS) for _ in range(randomness.randrange(3))]
    return {"prompt": _prompt(randomness, PLACES), "interactions": prompts, "seconds": randomness.choice([0.5, 1, 2])}


def _nothing(_: random.Random) -> Mapping[str, JSON]:
    return {}


STEPS: Mapping[str, tuple[int, Draw]] = MappingProxyType(
    {
        "connect": (6, _nothing),
        "connect with credentials": (1, _nothing),
        "start": (6, _start),
        "interact": (10, _interact),
        "end": (3, _nothing),
        "disconnect": (1, _nothing),
        "look": (3, _nothing),
        "simulate": (3, _simulate),
        "poll": (2, _nothing),
        "wait for job": (1, _nothing),
        "cancel job": (1, _nothing),
        "list jobs": (1, _nothing),
        "list recordings": (1, _nothing),
        "recording": (2, _nothing),
        "download": (1, _nothing),
        "spectate": (3, _nothing),
        "leave": (1, _nothing),
    }
)
"""For each step: its weight in random choices, and the function that draws its arguments."""

AFTER: Mapping[str, str] = MappingProxyType(
    {
        "poll": "simulate",
        "wait for job": "simulate",
        "cancel job": "simulate",
        "recording": "start",
        "download": "start",
        "spectate": "start",
        "leave": "spectate",
        "interact": "start",
        "end": "start",
        "look": "connect",
    }
)
"""For each step that needs an earlier step: the step after which it is usually inserted."""

MANNERS: Mapping[Manner, int] = MappingProxyType({"wait": 14, "go on": 4, "cancel": 2})


def _anything(randomness: random.Random) -> JSON:
    return randomness.choice([None, [], {}, "", "text", 0, -1, {"detail": None}, [[]], {"jobs": 3}])


_VALUES: Mapping[str, Callable[[random.Random], JSON]] = MappingProxyType(
    {
        "status": lambda randomness: randomness.choice([400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504]),
        "detail": _anything,
        "retry_after": lambda randomness: randomness.choice([None, 0, 1, 5]),
        "seconds": lambda randomness: round(randomness.choice([0.0, 0.1, 1.0, 8.0, 40.0]) * randomness.random(), 3),
        "bytes_per_second": lambda randomness: randomness.choice([1000, 100_000]),
        "code": lambda randomness: randomness.choice([1000, 1001, 1008, 1011, 1013, 4000]),
        "width": lambda _: 192,
        "height": lambda _: 320,
        "body": _anything,
        "reason": lambda randomness: randomness.choice(["inappropriate_content", "streamer_not_available", "", "odd"]),
        "message": lambda randomness: randomness.choice(["", "a fault of the explorer"]),
        "ends_stream": lambda randomness: randomness.random() < 0.5,
        "network_profile": lambda randomness: randomness.choice(list(NETWORK_PRESETS)),
        "duration": lambda randomness: randomness.choice([None, 1.0, 20.0]),
    }
)
"""Functions that draw values for the parameters of faults, by name of the parameter."""


def draw(seed: int, fidelity: Fidelity = "light") -> Scenario:
    """Draw the scenario of `seed`."""
    randomness = Randomness(seed)
    actors = 1 + randomness.stream("actors").choice([0, 0, 0, 1, 1, 2])
    if fidelity == "full":
        actors = min(actors, 2)
    length = randomness.stream("length").choice([4, 8, 12] if fidelity == "light" else [4, 6])
    cast = tuple(
        _actor(randomness.stream(f"actor {number}"), number, actors, length) for number in range(1, actors + 1)
    )
    return Scenario(
        seed=seed,
        fidelity=fidelity,
        settings=_settings(randomness.stream("settings")),
        actors=cast,
        faults=tuple(_faults(randomness.stream("faults"))),
        chaos=tuple(_chaos(randomness.stream("weather"), [actor.host for actor in cast], _moments(cast))),
    )


def _settings(randomness: random.Random) -> Mapping[str, JSON]:
    """Draw settings of the mock; some limit its capacity or its durations."""
    settings: dict[str, JSON] = {"fps": randomness.choice([4, 10])}
    rare: Sequence[tuple[str, JSON]] = (
        ("streamers", 1),
        ("concurrent_sessions", 1),
        ("stream_duration", 15.0),
        ("connection_duration", 30.0),
        ("inactivity", 10.0),
        ("session_token_lifetime", 5.0),
        ("access_token_lifetime", 20.0),
        ("simulation_workers", 1),
        ("queued_simulations", 1),
        ("session_grace", 2.0),
        ("usage_error_form", "string"),
        ("stale_session", 5.0),
        ("latency", "realistic"),
        ("network_profile", "lossy-wifi"),
        ("network_profile", "tunnel"),
    )
    settings |= {name: value for name, value in rare if randomness.random() < 0.08}
    return settings


def _actor(randomness: random.Random, number: int, of: int, length: int) -> Actor:
    steps = list(_session(randomness)) if randomness.random() < 0.8 else []
    while len(steps) < length:
        name = randomness.choices(list(STEPS), [often for often, _ in STEPS.values()])[0]
        _insert(randomness, steps, name)
    if randomness.random() < 0.3:
        _hurry(randomness, steps)
    return Actor(
        host=f"client-{number}",
        account=randomness.randrange(of),
        advanced={
            "reconnect": randomness.choice(get_args(Reconnect.__value__)),
            "max_retries": randomness.choice([0, 2, 5]),
            "initial_retry_delay_ms": randomness.choice([100, 1000]),
            "queue_timeout_s": randomness.choice([0, 5, 60]),
            "connect_timeout_s": randomness.choice([5, 30]),
            "operation_timeout_s": randomness.choice([2, 10]),
            "request_timeout_s": randomness.choice([3, 15]),
            "peer_timeout_s": randomness.choice([2, 5]),
            "request_max_retries": randomness.choice([0, 3]),
            "max_retry_after_s": 10,
        },
        steps=tuple(steps),
        pause=randomness.choice([0.0, 0.0, 0.0, 0.0, 0.0, 0.2]),
    )


def _session(randomness: random.Random) -> Sequence[Step]:
    # Some actors never end their stream, or never disconnect.
    return [_step(randomness, name) for name in _SESSION[: randomness.choice([4, 5, 6, 6])]]


def _insert(randomness: random.Random, steps: list[Step], name: str) -> int:
    """Insert the step `name` into `steps`, and return its index.

    Usually, the step is inserted after a step that it needs (`AFTER`), which is inserted first if it is missing.
    """
    needed, earliest = AFTER.get(name), 0
    if needed is not None and randomness.random() < 0.9:
        places = [place for place, step in enumerate(steps) if step.do == needed]
        earliest = 1 + (randomness.choice(places) if places else _insert(randomness, steps, needed))
    place = randomness.randint(earliest, min(len(steps), earliest + 3))
    steps.insert(place, _step(randomness, name))
    return place


def _hurry(randomness: random.Random, steps: list[Step]) -> None:
    """Replace one `interact` step in `steps` by three `interact` steps in quick succession.

    The actor does not wait for these three calls. Without an `interact` step, `steps` stays unchanged.
    """
    places = [place for place, step in enumerate(steps) if step.do == "interact"]
    if places:
        place = randomness.choice(places)
        more = [replace(_step(randomness, "interact"), wait=round(0.05 * randomness.random(), 4)) for _ in range(2)]
        steps[place : place + 1] = [replace(each, manner="go on", patience=0.0) for each in (steps[place], *more)]


def _moments(cast: Sequence[Actor]) -> Sequence[float]:
    """Return the earliest start of each step of all actors, in seconds; `[0.0]` if there are no steps."""
    return [at for actor in cast for at in itertools.accumulate(step.wait for step in actor.steps)] or [0.0]


def _step(randomness: random.Random, name: str) -> Step:
    manner = randomness.choices(list(MANNERS), list(MANNERS.values()))[0]
    return Step(
        do=name,
        wait=round(randomness.choice([0.0, 0.05, 0.5, 3.0, 8.0]) * randomness.random(), 4),
        arguments=STEPS[name][1](randomness),
        manner=manner,
        patience=round(randomness.choice([0.0, 0.05, 0.5, 3.0]) * randomness.random(), 4)
        if manner == "cancel"
        else 0.0,
    )


_OFTEN: Mapping[str, int] = MappingProxyType({"stream": 5, "twice": 3, "late": 2})
"""Weights in random choices of fault points, by the first part of their names, and of actions, by name.

Fault points and actions that are not listed have weight 1.
"""


def _faults(randomness: random.Random) -> Sequence[Mapping[str, JSON]]:
    drawn = []
    for _ in range(randomness.choice([0, 0, 1, 1, 2, 3])):
        at = randomness.choices(sorted(POINTS), [_OFTEN.get(point.partition(".")[0], 1) for point in sorted(POINTS)])[0]
        actions = sorted(POINTS[at].actions)
        do = randomness.choices(actions, [_OFTEN.get(action, 1) for action in actions])[0]
        parameters = POINTS[at].actions[do].parameters
        given = {
            name: _VALUES[name](randomness)
            for name, each in parameters.items()
            if each.required or randomness.random() < 0.5
        }
        kept = {name: value for name, value in given.items() if parameters[name].holds(value)}
        drawn.append(
            {
                "at": at,
                "do": do,
                **kept,
                "times": randomness.choice([1, 1, 2, 3]),
                "after": randomness.choice([0, 0, 1, 3]),
            }
        )
    return drawn


def _chaos(randomness: random.Random, hosts: Sequence[str], moments: Sequence[float]) -> Sequence[ChaosStep]:
    slow = randomness.choice([0.001, 0.02, 0.1, 0.4])
    low = round(slow * randomness.random(), 4)
    drawn = [ChaosStep(0.0, "latency", {"from": low, "to": round(low + slow, 4)})]
    if randomness.random() < 0.4:
        drawn.append(
            ChaosStep(
                0.0, "loss", {"lost": randomness.choice([0.01, 0.05, 0.2]), "doubled": randomness.choice([0, 0.05])}
            )
        )
    for _ in range(randomness.choice([0, 1, 1, 2, 3, 4])):
        # Prefer times at which a step starts.
        at = round(
            randomness.choice([*moments, 10.0 * randomness.random()])
            + randomness.choice([0.1, 0.5, 3.0]) * randomness.random(),
            3,
        )
        what = randomness.choices(list(_CHAOS), [often for often, _ in _CHAOS.values()])[0]
        drawn.append(ChaosStep(at, what, _CHAOS[what][1](randomness, hosts)))
    return sorted(drawn, key=lambda each: each.at)


def _away(randomness: random.Random, hosts: Sequence[str]) -> Mapping[str, JSON]:  # noqa: ARG001 - same signature as the others
    return {"seconds": round(randomness.choice([0.2, 2.0, 20.0]) * randomness.random(), 3)}


def _cut(longest: Sequence[float]) -> Callable[[random.Random, Sequence[str]], Mapping[str, JSON]]:
    return lambda randomness, hosts: {
        "host": randomness.choice(hosts),
        "ways": randomness.choice(["both", "in", "out"]),
        "seconds": round(randomness.choice(longest) * randomness.random(), 3),
    }


_CHAOS: Mapping[str, tuple[int, Callable[[random.Random, Sequence[str]], Mapping[str, JSON]]]] = MappingProxyType(
    {
        "cut": (2, _cut([0.5, 3.0, 15.0, 60.0])),
        "hold": (1, _cut([0.5, 3.0, 15.0])),
        "half open": (
            2,
            lambda randomness, hosts: {
                "host": randomness.choice(hosts),
                "dead": randomness.choice(["client", "server"]),
            },
        ),
        "reset": (5, lambda randomness, hosts: {"host": randomness.choice(hosts)}),
        "crash": (1, _away),
        "away": (1, _away),
        "jump": (
            3,
            lambda randomness, hosts: {
                "host": randomness.choice([*hosts, SERVER]),
                "seconds": randomness.choice([-86_400, -3600, -60, -1, 1, 60, 3600, 86_400]),
            },
        ),
        "lose worker": (1, lambda _, __: {}),
    }
)
"""For each disturbance at a random time: its weight in random choices, and the function that draws its arguments."""
