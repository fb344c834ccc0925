"""The network of a simulated test: a little different in each seed, and on demand with something worse now and then."""

from __future__ import annotations

import random  # noqa: TID251 - the type of the streams of a run's chance
from collections.abc import Callable, Collection, Coroutine, Mapping
from types import MappingProxyType
from typing import Literal

from odyssey_mock.sim.world import CLIENT, SERVER, World

type Weather = bool | Literal["calm"] | Collection[str]
"""What may befall a test: `"calm"` nothing at all, every packet arrives at once; False (the usual) a network of some
character, on which everything works; True, that and now and then one of `HAPPENINGS`; names, only those of them."""

LATENCY = (0.0005, 0.08)
"""Seconds that a packet takes, between the fastest and the slowest network there is; as much again by chance."""
LOSS = (0.0, 0.0, 0.005, 0.02)
"""Parts of all datagrams that get lost, one of these in each seed."""
DOUBLED = (0.0, 0.0, 0.005)
"""Parts of all datagrams that come twice."""

HOW_MANY = (0, 1, 1, 2)
"""Things that happen in one seed, where something may."""
MOMENTS = (8, 30, 100)
"""Entries of the mock's journal that go before it, on average: things happen when others do, however long a test is."""
LATER = (0.0, 0.0, 0.02, 2.0)
"""Seconds after such an entry, at most: within the same moment, on the way, or in the quiet afterwards."""
OUTAGE = (0.05, 8.0)
"""Seconds that a partition takes: what goes unnoticed, and what costs a connection its peer."""

JUMPS = (0.5, 1.0, 60.0, 3600.0)
"""Seconds by which a wall clock is set, either way: what a time server corrects, and a summer time gone wrong."""


class WeatherError(ValueError):
    """There is no such weather."""


def check(weather: object) -> None:
    """Make sure that it is a `Weather`.

    Raises:
        WeatherError: it is none.
    """
    if weather == "calm" or isinstance(weather, bool):
        return
    if isinstance(weather, str) or not isinstance(weather, Collection):
        raise WeatherError(f"expected weather to be True, False, 'calm' or names of {_KNOWN}, came {weather!r}")
    if unknown := [each for each in weather if not isinstance(each, str) or each not in HAPPENINGS]:
        raise WeatherError(f"there is no weather {unknown[0]!r}; known are {_KNOWN}")


def settle(world: World, weather: Weather) -> None:
    """Give the network of `world` its character."""
    if weather == "calm":
        return
    chance = world.chance.stream("weather/network")
    fastest, slowest = LATENCY
    least: float = fastest * (slowest / fastest) ** chance.random()
    world.wire.set_defaults(
        latency=(least, least * (1 + chance.random())), drop=chance.choice(LOSS), duplicate=chance.choice(DOUBLED)
    )


async def go_on(world: World, weather: Weather) -> None:
    """Let happen what is to happen in this seed; to be cancelled at the end of the test."""
    if weather == "calm" or weather is False:
        return
    possible = list(HAPPENINGS) if weather is True else sorted(set(weather))
    if not possible:
        return
    chance = world.chance.stream("weather/happenings")
    clock = world.seams(SERVER).clock
    index = world.mock.journal.next_index
    for _ in range(chance.choice(HOW_MANY)):
        index += int(chance.expovariate(1 / chance.choice(MOMENTS)))
        what, later = chance.choice(possible), chance.choice(LATER) * chance.random()
        await world.mock.journal.reach(index)
        await clock.sleep(later)
        await HAPPENINGS[what](world, chance, chance.choice(_machines(world)))
        index = max(index, world.mock.journal.next_index)


def _machines(world: World) -> list[str]:
    """The machines that may be struck: those of clients."""
    return [host for host in world.wire.hosts() if host != SERVER] or [CLIENT]


def _note(world: World, what: str, host: str) -> None:
    """Tell it where people look for what has happened."""
    world.mock.journal.record("note", f"weather: {what}", host=host)


async def _reset(world: World, chance: random.Random, host: str) -> None:  # noqa: ARG001 - as all
    _note(world, "every TCP connection is reset", host)
    reset(world, host)


def reset(world: World, host: str = CLIENT) -> None:
    """Break every TCP connection between a machine and the server, the signaling socket among them; both are told."""
    world.wire.half_open(SERVER, host)
    world.wire.half_open(host, SERVER)


async def _half_open(world: World, chance: random.Random, host: str) -> None:
    dead, alive = chance.choice([(SERVER, host), (host, SERVER)])
    _note(world, f"{dead} loses every TCP connection, {alive} is not told", host)
    world.wire.half_open(dead, alive)


async def _partition(world: World, chance: random.Random, host: str) -> None:
    shortest, longest = OUTAGE
    seconds = shortest * (longest / shortest) ** chance.random()
    _note(world, f"nothing passes for {seconds:.3f} s", host)
    for source, destination in ((SERVER, host), (host, SERVER)):
        world.wire.cut(source, destination)
    await world.seams(SERVER).clock.sleep(seconds)
    for source, destination in ((SERVER, host), (host, SERVER)):
        world.wire.mend(source, destination)
    _note(world, "packets pass again", host)


async def _clock_jump(world: World, chance: random.Random, host: str) -> None:
    struck = chance.choice([host, SERVER])
    seconds = chance.choice([-1, 1]) * chance.choice(JUMPS)
    _note(world, f"the wall clock of {struck} jumps by {seconds:+g} s", struck)
    world.wall_clock(struck).offset += seconds


HAPPENINGS: Mapping[str, Callable[[World, random.Random, str], Coroutine[None, None, None]]] = MappingProxyType(
    {
        "reset": _reset,
        "half_open": _half_open,
        "partition": _partition,
        "clock_jump": _clock_jump,
    }
)
"""What may happen, by name: TCP connections break, and both ends are told, or one; nothing passes for a while; a wall
clock is set."""

_KNOWN = ", ".join(HAPPENINGS)
