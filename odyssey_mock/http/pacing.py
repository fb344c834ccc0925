"""Waiting on the server's clock in a request: for as long as its client does, and so that a manual clock keeps step."""

import asyncio
from types import TracebackType
from typing import Self

from odyssey_mock.core.clock import Clock
from odyssey_mock.http.uvicorn_server import TcpConnection

SETTLE_LIMIT = 1.0
"""Seconds of real time that whoever moves a manual clock waits for what a request then does."""
GRAIN = 1e-6
"""Seconds: of instants since the epoch, floats tell apart no less than a fraction of that."""


class Pace:
    """The pauses of one request, a context manager.

    Whoever advances a manual clock past the end of a pause goes on once the request has come to its next pause, or is
    over: so twenty pauses of a second are passed by `advance(20)`, and what was late has been sent.
    """

    def __init__(self, clock: Clock, connection: TcpConnection, name: str) -> None:
        """`name`: of its deadlines."""
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
        """Pause to an instant of the server's time, in seconds since the epoch; not at all where that is past."""
        seconds = instant - self._clock.time() - GRAIN
        if seconds > 0 and not self._connection.lost.done():
            await self.pause(seconds)

    async def pause(self, seconds: float) -> None:
        """Let `seconds` pass on the server's clock; no longer than until the connection is lost."""
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
        # A client that does not read what is sent to it: the clock is not held up by that.
        return
