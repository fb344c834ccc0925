"""`LatencyClock`, a manual clock that reports the delays of latency profiles, and can pass them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import override

from odyssey_mock.core.clock import Callback, Deadline, ManualClock
from tests.support.raw import LIMIT

PREFIX = "latency: "
GRAIN = 1e-6
"""Seconds, more than the rounding error of times since the epoch."""


class LatencyClock(ManualClock):
    """A manual clock that reports the deadlines of latency profiles when they are added.

    Attributes:
        passed: the points whose delay `passing` has passed, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self._changed = asyncio.Event()

    @property
    def delayed(self) -> list[str]:
        """The points with a delay that has not passed, earliest first."""
        return [each.name.removeprefix(PREFIX) for each in self.pending if each.name.startswith(PREFIX)]

    @override
    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        self._changed.set()
        return super().call_later(seconds, name, callback)

    async def until_delayed(self, *points: str) -> None:
        """Wait until `points` are delayed, and no others."""
        async with asyncio.timeout(LIMIT):
            while sorted(self.delayed) != sorted(points):
                self._changed.clear()
                await self._changed.wait()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """During the block, let the time of each delay pass as soon as something is delayed."""
        task = asyncio.create_task(self._pass_all())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def _pass_all(self) -> None:
        while True:
            self._changed.clear()
            for deadline in self.pending:
                if deadline.name.startswith(PREFIX):
                    self.passed.append(deadline.name.removeprefix(PREFIX))
                    await self.advance(deadline.when - self.time() + GRAIN)
                    break
            else:
                await self._changed.wait()
