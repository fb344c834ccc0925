"""Chaos for simulated tests: network conditions that differ from seed to seed, and optional failures."""

from __future__ import annotations

import random  # noqa: TID251 - the type of a run's streams of randomness
from collections.abc import Callable, Collection, Coroutine, Mapping
from types import MappingProxyType
from typing import Literal

from odyssey_mock.sim.world import CLIENT, SERVER, World

type Chaos = bool | Literal["calm"] | Collection[str]
"""The chaos of a test.

- `"calm"`: every packet arrives at once.
- False (the default): latency, packet loss and duplicates that depend on the seed. Connections do not break.
- True: in addition, up to two events of `CHAOS` at random moments.
- Names of `CHAOS`: like True, but only with these events.
"""

LATENCY = (0.0005, 0.08)
"""Range of the minimum packet latency in seconds. The maximum latency of a network is up to twice its minimum."""
LOSS = (0.0, 0.0, 0.005, 0.02)
"""Fractions of datagrams that are lost; each seed selects one of these."""
DOUBLED = (0.0, 0.0, 0.005)
"""Fractions of datagrams that arrive twice; each seed selects one of these."""

HOW_MANY = (0, 1, 1, 2)
"""Numbers of chaos events in one run, if events are enabled; each seed selects one of these."""
MOMENTS = (8, 30, 100)
"""Mean numbers of journal entries before a chaos event.

Each event selects one of these, and draws a number of entries with this mean. Entries are counted instead of seconds,
so that events happen while the test is active.
"""
LATER = (0.0, 0.0, 0.02, 2.0)
"""Maximum delays in seconds from the last counted journal entry to the chaos event; each event selects one of these.

With 0 the event happens at once, and with 0.02 while packets are in flight.
"""
OUTAGE = (0.05, 8.0)
"""Minimum and maximum seconds of a partition. A short one stays unnoticed; a long one breaks the peer connection."""

JUMPS = (0.5, 1.0, 60.0, 3600.0)
"""Seconds by which a wall clock jumps, forwards or backwards: corrections of a time server, or a wrong time zone."""


class ChaosError(ValueError):
    """The argument `weather` of `@pytest.mark.odyssey_sim` is invalid."""


def check_chaos(chaos: object) -> None:
    """Check that `chaos` is a valid `Chaos`.

    Raises:
        ChaosError: `chaos` is not a boolean, `"calm"` or a collection of names from `CHAOS`.
    """
    if chaos == "calm" or isinstance(chaos, bool):
        return
    if isinstance(chaos, str) or not isinstance(chaos, Collection):
        raise ChaosError(f"weather must be True, False, 'calm' or a list of names from {_KNOWN}; got {chaos!r}")
    if unknown := [each for each in chaos if not isinstance(each, str) or each not in CHAOS]:
        raise ChaosError(f"unknown weather {unknown[0]!r}; known: {_KNOWN}")


def draw_network(world: World, chaos: Chaos) -> None:
    """Set a latency, packet loss and duplication drawn from the seed of `world`; do nothing if `chaos` is `"calm"`."""
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
    """Cause the chaos events that the seed of `world` determines, one after the other.

    The caller must cancel the task that runs this function when the test ends.
    """
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
    """Return the hosts that a chaos event may affect: the hosts of clients."""
    return [host for host in world.wire.hosts() if host != SERVER] or [CLIENT]


def _note(world: World, what: str, host: str) -> None:
    """Record a chaos event in the mock's journal, so that the seed report of a failed test shows it."""
    world.mock.journal.record("note", f"chaos: {what}", host=host)


async def _reset(world: World, randomness: random.Random, host: str) -> None:  # noqa: ARG001 - the signature of all events
    _note(world, "every TCP connection is reset", host)
    reset(world, host)


def reset(world: World, host: str = CLIENT) -> None:
    """Reset every TCP connection between `host` and the server, including the signaling socket; both sides notice."""
    world.wire.half_open(SERVER, host)
    world.wire.half_open(host, SERVER)


async def _half_open(world: World, randomness: random.Random, host: str) -> None:
    dead, alive = randomness.choice([(SERVER, host), (host, SERVER)])
    _note(world, f"{dead} loses every TCP connection, {alive} is not notified", host)
    world.wire.half_open(dead, alive)


async def _partition(world: World, randomness: random.Random, host: str) -> None:
    shortest, longest = OUTAGE
    seconds = shortest * (longest / shortest) ** randomness.random()
    _note(world, f"no packet passes for {seconds:.3f} s", host)
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
"""The chaos events, by name.

- `reset`: TCP connections break, and both sides notice.
- `half_open`: TCP connections break, and one side does not notice.
- `partition`: no packet passes for a while.
- `clock_jump`: a wall clock jumps.
"""

_KNOWN = ", ".join(CHAOS)
