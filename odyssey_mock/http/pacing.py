"""`Pace`: pauses of a request on the server's clock, which end early if the client disconnects."""

import asyncio
from types import TracebackType
from typing import Self

from odyssey_mock.core.clock import Clock
from odyssey_mock.http.uvicorn_server import TcpConnection

SETTLE_LIMIT = 1.0
"""Maximum real time in seconds that `advance` of a manual clock waits after each pause of a request."""
GRAIN = 1e-6
"""Tolerance in seconds when times since the epoch are compared, larger than the rounding error of floats."""


class Pace:
    """Lets one request pause on the server's clock. A pause ends early if the client disconnects.

    A `Pace` is a context manager, whose block must contain all pauses of the request. `advance` of a manual clock ends
    each pause that is due. It then waits, at most `SETTLE_LIMIT`, until the request begins its next pause or leaves the
    block. For example, `advance(20)` runs through twenty pauses of one second, and returns once their data was sent.
    """

    def __init__(self, clock: Clock, connection: TcpConnection, name: str) -> None:
        """Create a pace for the request on `connection`. `name` names the clock deadline that ends each pause."""
        self._clock = clock
        self._connection = connection
        self._name = name
        self._settled = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settled.set()

    async def until(self, instant: float) -> None:
        """Pause until the server's time is `instant` (seconds since the epoch); return at once if it has passed."""
        seconds = instant - self._clock.time() - GRAIN
        if seconds > 0 and not self._connection.lost.done():
            await self.pause(seconds)

    async def pause(self, seconds: float) -> None:
        """Pause until `seconds` have passed on the server's clock, or the connection to the client is lost."""
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before, self._settled = self._settled, asyncio.Event()
        after = self._settled

        async def due() -> None:
            if not passed.done():
                passed.set_result(None)
                await _within(SETTLE_LIMIT, after)

        deadline = self._clock.call_later(seconds, self._name, due)
        before.set()
        try:
            with self._connection.held():
                await asyncio.wait([passed, self._connection.lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline.cancel()
            passed.cancel()


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        # The client does not read the response, so sending it waits. The clock must not wait any longer.
        return
