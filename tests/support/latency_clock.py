"""`LatencyClock`, a manual clock that lists the pending delays of latency profiles, and can skip them."""

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
    """A manual clock that lists the pending delays of latency profiles, and can skip them.

    Attributes:
        passed: the points, such as `stream.start`, whose delays `passing` has skipped, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self._changed = asyncio.Event()

    @property
    def delayed(self) -> list[str]:
        """The points, such as `stream.start`, that have a pending delay, earliest first."""
        return [each.name.removeprefix(PREFIX) for each in self.pending if each.name.startswith(PREFIX)]

    @override
    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        self._changed.set()
        return super().call_later(seconds, name, callback)

    async def until_delayed(self, *points: str) -> None:
        """Wait until `points`, and no other points, have a pending delay."""
        async with asyncio.timeout(LIMIT):
            while sorted(self.delayed) != sorted(points):
                self._changed.clear()
                await self._changed.wait()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """In the `with` block, advance the clock past each delay as soon as the delay begins."""
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
