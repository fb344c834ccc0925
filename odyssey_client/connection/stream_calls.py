"""The calls that start, steer and end streams: the shell of `operations.py`, with futures and limits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from odyssey_client.connection.operation_events import (
    Announce,
    Announced,
    Answer,
    Call,
    Close,
    End,
    GaveUp,
    Input,
    Interact,
    LoseSession,
    Reject,
    Resolve,
    Start,
)
from odyssey_client.connection.operation_machine import StreamOperations
from odyssey_client.errors import OdysseyError, OperationTimeoutError
from odyssey_client.platform import Clock

type Send = Callable[[], Awaitable[None]]


class StreamCalls:
    """Carries `StreamOperations` out: each call waits for its own answer, and no longer than ``limit`` seconds."""

    def __init__(
        self,
        clock: Clock,
        limit: float,
        announce: Callable[[Announced], None],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """``announce`` tells the user of an answer; ``later`` calls a function after a time, unless all is over."""
        self._clock = clock
        self._limit = limit
        self._announce = announce
        self._later = later
        self._machine = StreamOperations()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[str | None]] = {}

    async def start(self, prompt: str, send: Send) -> str:
        """Send a start; return the stream's id."""
        return await self._call(lambda number: Start(number, prompt), send, "start_stream") or ""

    async def interact(self, prompt: str, send: Send) -> str:
        """Send an interaction; return the prompt as it was applied."""
        return await self._call(lambda number: Interact(number, prompt), send, "interact") or ""

    async def end(self, send: Send) -> None:
        """Send an end; return when the stream has ended."""
        await self._call(End, send, "end_stream")

    def answered(self, answer: Answer) -> None:
        """Take what the streamer said."""
        self._handle(answer)

    def lose_session(self, error: OdysseyError) -> None:
        """Settle every call, and tell that the stream has ended: the session is gone because of ``error``."""
        self._handle(LoseSession(error))

    def close(self, error: OdysseyError) -> None:
        """Settle every call: the connection is over because of ``error``."""
        self._handle(Close(error))

    async def _call(self, make: Callable[[int], Call], send: Send, name: str) -> str | None:
        number = next(self._numbers)
        self._handle(make(number))
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with self._clock.timeout(self._limit):
                await send()
                return await answer
        except TimeoutError:
            if answer.done() and not answer.cancelled():  # it came in the very moment
                return answer.result()
            self._give_up(number)
            raise OperationTimeoutError(
                "timeout",
                f"{name}() was not answered within {self._limit:g} s. It may still be carried out: the events tell. "
                "The limit is AdvancedConfig.operation_timeout_s.",
            ) from None
        except asyncio.CancelledError:
            self._give_up(number)
            raise
        except Exception:
            if not answer.done():  # it was not sent, so no answer will come and its place is free
                self._handle(GaveUp(number))
                self._handle(GaveUp(number))
            raise
        finally:
            del self._waiting[number]
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, whether or not it was raised above

    def _give_up(self, number: int) -> None:
        self._handle(GaveUp(number))
        self._later(self._limit, lambda: self._handle(GaveUp(number)))

    def _handle(self, happened: Input) -> None:
        for effect in self._machine.handle(happened):
            match effect:
                case Announce(answer):
                    self._announce(answer)
                case Resolve(call, value) if (waiting := self._future(call)) is not None:
                    waiting.set_result(value)
                case Reject(call, error) if (waiting := self._future(call)) is not None:
                    waiting.set_exception(error)

    def _future(self, call: int) -> asyncio.Future[str | None] | None:
        """What ``call`` waits on, if it still does."""
        future = self._waiting.get(call)
        return None if future is None or future.done() else future
