"""Helpers that run a test's scenario in a simulated world, in which client and mock share a simulated network."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from odyssey_mock.sim.run import Run, run
from odyssey_mock.sim.world import World

HOST = "elsewhere"
"""Name of a simulated machine on which tests run their own servers."""


def play[T](scenario: Callable[[World], Awaitable[T]], *, seed: int = 1, **settings: object) -> T:
    """Run `scenario` in a simulated world; return its result, or raise the error with which the run failed."""
    went = complete(scenario, seed=seed, **settings)
    assert went.result is not None
    return went.result


def complete[T](scenario: Callable[[World], Awaitable[T]], *, seed: int = 1, **settings: object) -> Run[T]:
    went = run(seed, scenario, settings=settings)
    if went.error is not None:
        raise went.error
    return went


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 - virtual time, which costs nothing


def play_nothing(scenario: Callable[[World], Awaitable[None]]) -> None:
    assert complete(scenario).left == ()


async def of[T](work: Awaitable[T]) -> T:
    return await work


def at_step(world: World, number: int, reach: Callable[[], None]) -> None:
    """Call `reach` when the event loop of `world` has run `number` more callbacks, or a little later."""
    policy: Any = world.loop._policy
    choose, passed = policy.choose, 0

    def counting(ready: Sequence[Any]) -> int:
        nonlocal passed
        passed += 1
        if passed == number:
            reach()
        return int(choose(ready))

    policy.choose = counting
