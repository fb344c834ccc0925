"""Functions that time two actions in turns, so that both see the same load of the machine."""

import asyncio
from collections.abc import Awaitable, Callable

LIMIT_S = 30.0
"""Timeout of one action in seconds, far above its usual duration."""


async def alternate(
    ours: Callable[[], Awaitable[float]], baseline: Callable[[], Awaitable[float]], rounds: int
) -> tuple[list[float], list[float]]:
    """Take `rounds` samples of each measurement in turns, after one of each that does not count."""
    samples: tuple[list[float], list[float]] = [], []
    for _ in range(1 + rounds):
        for taken, measure in zip(samples, (ours, baseline), strict=True):
            taken.append(await measure())
    return samples[0][1:], samples[1][1:]


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    """Return how many milliseconds the action takes.

    Raises:
        TimeoutError: it takes longer than `LIMIT_S`.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(LIMIT_S):
        await action()
    return (loop.time() - started) * 1000
