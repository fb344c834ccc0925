"""The network of a simulated test: a little different in each seed, and on demand with something worse now and then."""

from __future__ import annotations

import random  # noqa: TID251 - the type of a run's streams of randomness
from collections.abc import Callable, Collection, Coroutine, Mapping
from types import MappingProxyType
from typing import Literal

from odyssey_mock.sim.world import CLIENT, SERVER, World

type Chaos = bool | Literal["calm"] | Collection[str]
"""What may befall a test: `"calm"` nothing at all, every packet arrives at once; False (the usual) a network of some
character, on which everything works; True, that and now and then one of `CHAOS`; names, only those of them."""

LATENCY = (0.0005, 0.08)
"""Seconds that a packet takes, between the fastest and the slowest network there is; as much again by randomness."""
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


class ChaosError(ValueError):
    """What a test asked for as `weather` is no `Chaos`."""


def check_chaos(chaos: object) -> None:
    """Make sure that it is a `Chaos`.

    Raises:
        ChaosError: it is none.
    """
    if chaos == "calm" or isinstance(chaos, bool):
        return
    if isinstance(chaos, str) or not isinstance(chaos, Collection):
        raise ChaosError(f"expected weather to be True, False, 'calm' or names of {_KNOWN}, got {chaos!r}")
    if unknown := [each for each in chaos if not isinstance(each, str) or each not in CHAOS]:
        raise ChaosError(f"there is no weather {unknown[0]!r}; known are {_KNOWN}")


def draw_network(world: World, chaos: Chaos) -> None:
    """Give the network of `world` its character."""
    if chaos == "calm":
        return
    randomness = world.chance.stream("weather/network")
    fastest, slowest = LATENCY
    least: float = fastest * (slowest / fastest) ** randomness.random()
    world.wire.set_defaults(
        latency=(least, least * (1 + randomness.random())),
        drop=randomness.choice(LOSS),
        duplicate=randomness.choice(DOUBLED),
    )


async def apply_chaos(world: World, chaos: Chaos) -> None:
    """Let happen what is to happen in this seed; to be cancelled at the end of the test."""
    if chaos == "calm" or chaos is False:
        return
    possible = list(CHAOS) if chaos is True else sorted(set(chaos))
    if not possible:
        return
    randomness = world.chance.stream("weather/happenings")
    clock = world.platform(SERVER).clock
    index = world.mock.journal.next_index
    for _ in range(randomness.choice(HOW_MANY)):
        index += int(randomness.expovariate(1 / randomness.choice(MOMENTS)))
        what, later = randomness.choice(possible), randomness.choice(LATER) * randomness.random()
        await world.mock.journal.reach(index)
        await clock.sleep(later)
        await CHAOS[what](world, randomness, randomness.choice(_machines(world)))
        index = max(index, world.mock.journal.next_index)


def _machines(world: World) -> list[str]:
    """The machines that may be struck: those of clients."""
    return [host for host in world.wire.hosts() if host != SERVER] or [CLIENT]


def _note(world: World, what: str, host: str) -> None:
    """Tell it where people look for what has happened."""
    world.mock.journal.record("note", f"chaos: {what}", host=host)


async def _reset(world: World, randomness: random.Random, host: str) -> None:  # noqa: ARG001 - as all
    _note(world, "every TCP connection is reset", host)
    reset(world, host)


def reset(world: World, host: str = CLIENT) -> None:
    """Break every TCP connection between a machine and the server, the signaling socket among them; both are told."""
    world.wire.half_open(SERVER, host)
    world.wire.half_open(host, SERVER)


async def _half_open(world: World, randomness: random.Random, host: str) -> None:
    dead, alive = randomness.choice([(SERVER, host), (host, SERVER)])
    _note(world, f"{dead} loses every TCP connection, {alive} is not told", host)
    world.wire.half_open(dead, alive)


async def _partition(world: World, randomness: random.Random, host: str) -> None:
    shortest, longest = OUTAGE
    seconds = shortest * (longest / shortest) ** randomness.random()
    _note(world, f"nothing passes for {seconds:.3f} s", host)
    for source, destination in ((SERVER, host), (host, SERVER)):
        world.wire.cut(source, destination)
    await world.platform(SERVER).clock.sleep(seconds)
    for source, destination in ((SERVER, host), (host, SERVER)):
        world.wire.mend(source, destination)
    _note(world, "packets pass again", host)


async def _clock_jump(world: World, randomness: random.Random, host: str) -> None:
    struck = randomness.choice([host, SERVER])
    seconds = randomness.choice([-1, 1]) * randomness.choice(JUMPS)
    _note(world, f"the wall clock of {struck} jumps by {seconds:+g} s", struck)
    world.wall_clock(struck).offset += seconds


CHAOS: Mapping[str, Callable[[World, random.Random, str], Coroutine[None, None, None]]] = MappingProxyType(
    {
        "reset": _reset,
        "half_open": _half_open,
        "partition": _partition,
        "clock_jump": _clock_jump,
    }
)
"""What may happen, by name: TCP connections break, and both ends are told, or one; nothing passes for a while; a wall
clock is set."""

_KNOWN = ", ".join(CHAOS)
