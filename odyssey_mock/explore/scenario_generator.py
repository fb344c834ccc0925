"""Drawing a life from a seed. Each part has a stream of chance of its own: one fault more changes no step."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import get_args

from odyssey_client.config import Reconnect
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.explore.scenario import Actor, Manner, NetworkChange, Scenario, Step
from odyssey_mock.faults.catalogue import POINTS
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.randomness import Randomness
from odyssey_mock.sim.world import SERVER

type Draw = Callable[[random.Random], Mapping[str, JSON]]

PLACES = ("a harbour", "a forest", "a city at night", "the desert", "an old library")
HAPPENINGS = ("it begins to snow", "the sun rises", "a ship comes in", "somebody waves", "the lights go out")

_SESSION = ("connect", "start", "interact", "interact", "end", "disconnect")
"""What somebody does who means to see something; the rest comes in between."""


def _start(chance: random.Random) -> Mapping[str, JSON]:
    return {
        "prompt": _prompt(chance, PLACES),
        "portrait": chance.random() < 0.5,
        "broadcast": chance.random() < 0.4,
    }


def _interact(chance: random.Random) -> Mapping[str, JSON]:
    return {"prompt": _prompt(chance, HAPPENINGS)}


def _prompt(chance: random.Random, texts: Sequence[str]) -> str:
    prompt = f"{chance.choice(texts)} ({chance.randrange(10_000)})"
    mark = chance.random()
    if mark < 0.03:
        return f"{prompt} [error:inappropriate_content]"
    if mark < 0.05:
        return f"{prompt} [stall]"
    if mark < 0.2:
        return f"{prompt} [slow:{chance.randrange(3000)}]"
    return prompt


def _simulate(chance: random.Random) -> Mapping[str, JSON]:
    prompts = [_prompt(chance, HAPPENINGS) for _ in range(chance.randrange(3))]
    return {"prompt": _prompt(chance, PLACES), "interactions": prompts, "seconds": chance.choice([0.5, 1, 2])}


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
"""What actors do: how often, of all that is drawn at random, and with which arguments."""

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
"""What somebody does only after something else, most of the time."""

MANNERS: Mapping[Manner, int] = MappingProxyType({"wait": 14, "go on": 4, "cancel": 2})


def _anything(chance: random.Random) -> JSON:
    return chance.choice([None, [], {}, "", "text", 0, -1, {"detail": None}, [[]], {"jobs": 3}])


_VALUES: Mapping[str, Callable[[random.Random], JSON]] = MappingProxyType(
    {
        "status": lambda chance: chance.choice([400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504]),
        "detail": _anything,
        "retry_after": lambda chance: chance.choice([None, 0, 1, 5]),
        "seconds": lambda chance: round(chance.choice([0.0, 0.1, 1.0, 8.0, 40.0]) * chance.random(), 3),
        "bytes_per_second": lambda chance: chance.choice([1000, 100_000]),
        "code": lambda chance: chance.choice([1000, 1001, 1008, 1011, 1013, 4000]),
        "width": lambda _: 192,
        "height": lambda _: 320,
        "body": _anything,
        "reason": lambda chance: chance.choice(["inappropriate_content", "streamer_not_available", "", "odd"]),
        "message": lambda chance: chance.choice(["", "a fault of the explorer"]),
    }
)
"""What parameters of faults are drawn from, by name."""


def draw(seed: int, depth: Fidelity = "light") -> Scenario:
    """Draw the life of `seed`."""
    chance = Randomness(seed)
    actors = 1 + chance.stream("actors").choice([0, 0, 0, 1, 1, 2])
    if depth == "full":
        actors = min(actors, 2)
    length = chance.stream("length").choice([4, 8, 12] if depth == "light" else [4, 6])
    cast = tuple(_actor(chance.stream(f"actor {number}"), number, actors, length) for number in range(1, actors + 1))
    return Scenario(
        seed=seed,
        depth=depth,
        settings=_settings(chance.stream("settings")),
        actors=cast,
        faults=tuple(_faults(chance.stream("faults"))),
        weather=tuple(_weather(chance.stream("weather"), [actor.host for actor in cast], _moments(cast))),
    )


def _settings(chance: random.Random) -> Mapping[str, JSON]:
    """A server that is sometimes small, and sometimes has limits that are soon reached."""
    settings: dict[str, JSON] = {"fps": chance.choice([4, 10])}
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
    )
    settings |= {name: value for name, value in rare if chance.random() < 0.08}
    return settings


def _actor(chance: random.Random, number: int, of: int, length: int) -> Actor:
    steps = list(_session(chance)) if chance.random() < 0.8 else []
    while len(steps) < length:
        name = chance.choices(list(STEPS), [often for often, _ in STEPS.values()])[0]
        _insert(chance, steps, name)
    if chance.random() < 0.3:
        _hurry(chance, steps)
    return Actor(
        host=f"client-{number}",
        account=chance.randrange(of),
        advanced={
            "reconnect": chance.choice(get_args(Reconnect.__value__)),
            "max_retries": chance.choice([0, 2, 5]),
            "initial_retry_delay_ms": chance.choice([100, 1000]),
            "queue_timeout_s": chance.choice([0, 5, 60]),
            "connect_timeout_s": chance.choice([5, 30]),
            "operation_timeout_s": chance.choice([2, 10]),
            "request_timeout_s": chance.choice([3, 15]),
            "peer_timeout_s": chance.choice([2, 5]),
            "request_max_retries": chance.choice([0, 3]),
            "max_retry_after_s": 10,
        },
        steps=tuple(steps),
        pause=chance.choice([0.0, 0.0, 0.0, 0.0, 0.0, 0.2]),
    )


def _session(chance: random.Random) -> Sequence[Step]:
    # Some leave it running, to the end of their lives.
    return [_step(chance, name) for name in _SESSION[: chance.choice([4, 5, 6, 6])]]


def _insert(chance: random.Random, steps: list[Step], name: str) -> int:
    """Put a step somewhere among `steps`, as a rule after what it needs; return its place."""
    needed, earliest = AFTER.get(name), 0
    if needed is not None and chance.random() < 0.9:
        places = [place for place, step in enumerate(steps) if step.do == needed]
        earliest = 1 + (chance.choice(places) if places else _insert(chance, steps, needed))
    place = chance.randint(earliest, min(len(steps), earliest + 3))
    steps.insert(place, _step(chance, name))
    return place


def _hurry(chance: random.Random, steps: list[Step]) -> None:
    """Let somebody interact again and again, without waiting for the answers."""
    places = [place for place, step in enumerate(steps) if step.do == "interact"]
    if places:
        place = chance.choice(places)
        more = [replace(_step(chance, "interact"), wait=round(0.05 * chance.random(), 4)) for _ in range(2)]
        steps[place : place + 1] = [replace(each, manner="go on", patience=0.0) for each in (steps[place], *more)]


def _moments(cast: Sequence[Actor]) -> Sequence[float]:
    """When steps are begun, at the earliest."""
    return [at for actor in cast for at in itertools.accumulate(step.wait for step in actor.steps)] or [0.0]


def _step(chance: random.Random, name: str) -> Step:
    manner = chance.choices(list(MANNERS), list(MANNERS.values()))[0]
    return Step(
        do=name,
        wait=round(chance.choice([0.0, 0.05, 0.5, 3.0, 8.0]) * chance.random(), 4),
        arguments=STEPS[name][1](chance),
        manner=manner,
        patience=round(chance.choice([0.0, 0.05, 0.5, 3.0]) * chance.random(), 4) if manner == "cancel" else 0.0,
    )


_OFTEN: Mapping[str, int] = MappingProxyType({"stream": 5, "twice": 3, "late": 2})
"""How much oftener some points and actions are drawn than others, of which there are many that do nearly the same."""


def _faults(chance: random.Random) -> Sequence[Mapping[str, JSON]]:
    drawn = []
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        at = chance.choices(sorted(POINTS), [_OFTEN.get(point.partition(".")[0], 1) for point in sorted(POINTS)])[0]
        actions = sorted(POINTS[at].actions)
        do = chance.choices(actions, [_OFTEN.get(action, 1) for action in actions])[0]
        parameters = POINTS[at].actions[do].parameters
        given = {
            name: _VALUES[name](chance) for name, each in parameters.items() if each.required or chance.random() < 0.5
        }
        kept = {name: value for name, value in given.items() if parameters[name].holds(value)}
        drawn.append(
            {"at": at, "do": do, **kept, "times": chance.choice([1, 1, 2, 3]), "after": chance.choice([0, 0, 1, 3])}
        )
    return drawn


def _weather(chance: random.Random, hosts: Sequence[str], moments: Sequence[float]) -> Sequence[NetworkChange]:
    slow = chance.choice([0.001, 0.02, 0.1, 0.4])
    low = round(slow * chance.random(), 4)
    drawn = [NetworkChange(0.0, "latency", {"from": low, "to": round(low + slow, 4)})]
    if chance.random() < 0.4:
        drawn.append(
            NetworkChange(0.0, "loss", {"lost": chance.choice([0.01, 0.05, 0.2]), "doubled": chance.choice([0, 0.05])})
        )
    for _ in range(chance.choice([0, 1, 1, 2, 3, 4])):
        # Rather while something is going on.
        at = round(
            chance.choice([*moments, 10.0 * chance.random()]) + chance.choice([0.1, 0.5, 3.0]) * chance.random(), 3
        )
        what = chance.choices(list(_EVENTS), [often for often, _ in _EVENTS.values()])[0]
        drawn.append(NetworkChange(at, what, _EVENTS[what][1](chance, hosts)))
    return sorted(drawn, key=lambda each: each.at)


def _away(chance: random.Random, hosts: Sequence[str]) -> Mapping[str, JSON]:  # noqa: ARG001 - as all are called
    return {"seconds": round(chance.choice([0.2, 2.0, 20.0]) * chance.random(), 3)}


def _cut(longest: Sequence[float]) -> Callable[[random.Random, Sequence[str]], Mapping[str, JSON]]:
    return lambda chance, hosts: {
        "host": chance.choice(hosts),
        "ways": chance.choice(["both", "in", "out"]),
        "seconds": round(chance.choice(longest) * chance.random(), 3),
    }


_EVENTS: Mapping[str, tuple[int, Callable[[random.Random, Sequence[str]], Mapping[str, JSON]]]] = MappingProxyType(
    {
        "cut": (2, _cut([0.5, 3.0, 15.0, 60.0])),
        "hold": (1, _cut([0.5, 3.0, 15.0])),
        "half open": (
            2,
            lambda chance, hosts: {"host": chance.choice(hosts), "dead": chance.choice(["client", "server"])},
        ),
        "reset": (5, lambda chance, hosts: {"host": chance.choice(hosts)}),
        "crash": (1, _away),
        "away": (1, _away),
        "jump": (
            3,
            lambda chance, hosts: {
                "host": chance.choice([*hosts, SERVER]),
                "seconds": chance.choice([-86_400, -3600, -60, -1, 1, 60, 3600, 86_400]),
            },
        ),
        "lose worker": (1, lambda _, __: {}),
    }
)
"""What happens to all: how often, of all that is drawn, and how; `weather.py` has what it means."""
