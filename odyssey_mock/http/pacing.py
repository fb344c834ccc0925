"""`Pace`: pauses of a request on the server's clock, which end when the client disconnects."""

import asyncio
from types import TracebackType
from typing import Self

from odyssey_mock.core.clock import Clock
from odyssey_mock.http.uvicorn_server import TcpConnection

SETTLE_LIMIT = 1.0
"""Maximum seconds of real time that advancing a manual clock waits for the work of a request after a pause."""
GRAIN = 1e-6
"""Tolerance in seconds for instants since the epoch, larger than the rounding error of floats."""


class Pace:
    """The pauses of one request, as a context manager.

    Advancing a manual clock past the end of a pause waits until the request reaches its next pause or ends. So
    `advance(20)` passes twenty pauses of one second, and delayed data has been sent when it returns.
    """

    def __init__(self, clock: Clock, connection: TcpConnection, name: str) -> None:
        """Create the pauses; `name` is the name of their deadlines."""
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
        """Pause until an instant of the server's time, in seconds since the epoch; return at once if it has passed."""
        seconds = instant - self._clock.time() - GRAIN
        if seconds > 0 and not self._connection.lost.done():
            await self.pause(seconds)

    async def pause(self, seconds: float) -> None:
        """Wait until `seconds` have passed on the server's clock or the connection is lost."""
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
        # The client does not read the response. That must not block the clock.
        return
