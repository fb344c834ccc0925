"""Calls that start, change and end streams.

This is the shell of the state machine in `operation_machine.py`: it sends messages, sets timeouts and resolves futures.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from odyssey_client.connection.messages import (
    ChannelMessage,
    InteractiveStreamEnd,
    InteractiveStreamStart,
    StreamerMessage,
    Update,
)
from odyssey_client.connection.operation_machine import (
    Announce,
    Announced,
    Call,
    Close,
    End,
    GaveUp,
    Interact,
    OperationEvent,
    OperationMachine,
    Reject,
    Resolve,
    SessionLost,
    Start,
)
from odyssey_client.connection.streamer_link import StreamerLink
from odyssey_client.errors import InvalidStateError, OdysseyError, OperationTimeoutError
from odyssey_client.platform import Clock
from odyssey_client.trace.described import why
from odyssey_client.trace.waiting import waits_for

if TYPE_CHECKING:
    from odyssey_client.trace.client_trace import ClientTrace

_REPLIES = {"start_stream": "stream_started", "interact": "update_acknowledged", "end_stream": "stream_ended"}
"""The message of the streamer that each call waits for."""


class StreamCalls:
    """Runs `OperationMachine`: each call waits for its own reply, for ``limit`` seconds at most."""

    def __init__(
        self,
        link: StreamerLink,
        *,
        clock: Clock,
        limit: float,
        is_up: Callable[[], bool],
        announce: Callable[[Announced], None],
        later: Callable[[float, Callable[[], None]], None],
        trace: ClientTrace | None = None,
    ) -> None:
        """Create the object without calls.

        ``limit`` is the maximum number of seconds to wait for a reply. ``announce`` passes a message to handlers and
        event readers. ``later(seconds, function)`` calls a function after a delay, unless the connection has ended.
        ``trace`` records transitions of the state machine.
        """
        self._link = link
        self._clock = clock
        self._limit = limit
        self._is_up = is_up
        self._announce = announce
        self._later = later
        self._trace = trace
        self._machine = OperationMachine()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[str | None]] = {}

    async def start(self, message: InteractiveStreamStart) -> str:
        """Start a stream; return its id.

        Raises:
            InvalidStateError: the client is reconnecting, or no stream can be started in the current state.
            OdysseyError: the message was not sent, no reply arrived in time, or the streamer replied with an error.
        """
        return await self._call(lambda number: Start(number, message.prompt), message, "start_stream") or ""

    async def interact(self, prompt: str) -> str:
        """Send an interaction; return the applied prompt.

        Raises:
            InvalidStateError: the client is reconnecting, or no stream is running.
            OdysseyError: the message was not sent, no reply arrived in time, or the streamer replied with an error.
        """
        return await self._call(lambda number: Interact(number, prompt), Update(prompt), "interact") or ""

    async def end(self) -> None:
        """End the stream; return once it has ended.

        Raises:
            InvalidStateError: the client is reconnecting, or no stream is running.
            OdysseyError: the message was not sent, no reply arrived in time, or the streamer replied with an error.
        """
        await self._call(End, InteractiveStreamEnd(), "end_stream")

    def answered(self, answer: StreamerMessage) -> None:
        """Process a message from the streamer."""
        self._handle(answer)

    def lose_session(self, error: OdysseyError) -> None:
        """Make every waiting call fail and announce the end of the stream, because ``error`` ended the session."""
        self._handle(SessionLost(error))

    def close(self, error: OdysseyError) -> None:
        """Make every waiting call fail, because ``error`` ended the connection."""
        self._handle(Close(error))

    async def _call(self, make: Callable[[int], Call], message: ChannelMessage, name: str) -> str | None:
        number = next(self._numbers)
        self._handle(make(number))
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        waits_for(_REPLIES[name])
        try:
            async with self._clock.timeout(self._limit):
                await self._send(message)
                return await answer
        except TimeoutError:
            if answer.done() and not answer.cancelled():  # the reply arrived at the same moment
                return answer.result()
            self._give_up(number)
            raise OperationTimeoutError(
                "timeout",
                f"{name}() was not answered within {self._limit:g} s. The streamer may still carry out the call, "
                "which an event then reports. The limit is AdvancedConfig.operation_timeout_s.",
            ) from None
        except asyncio.CancelledError:
            self._give_up(number)
            raise
        except Exception:
            if not answer.done():  # not sent, so no reply will arrive: the call also leaves its queue
                self._handle(GaveUp(number))
                self._handle(GaveUp(number))
            raise
        finally:
            del self._waiting[number]
            if answer.done() and not answer.cancelled():
                answer.exception()  # mark as retrieved, whether or not it was raised above

    async def _send(self, message: ChannelMessage) -> None:
        if not self._is_up():  # preparing an image takes time, in which the connection may be lost
            raise InvalidStateError(
                "reconnecting",
                "The client is reconnecting, so nothing was sent. Wait until the status is connected.",
            )
        await self._link.send(message)

    def _give_up(self, number: int) -> None:
        self._handle(GaveUp(number))
        self._later(self._limit, lambda: self._handle(GaveUp(number)))

    def _handle(self, event: OperationEvent) -> None:
        before = self._machine.state
        effects = self._machine.handle(event)
        if self._trace is not None and (effects or before is not self._machine.state):
            self._trace.transition("streams", before, self._machine.state, why(event))
        for effect in effects:
            match effect:
                case Announce(answer):
                    self._announce(answer)
                case Resolve(call, value):
                    if (waiting := self._future(call)) is not None:
                        waiting.set_result(value)
                case Reject(call, error):
                    if (waiting := self._future(call)) is not None:
                        waiting.set_exception(error)
                case _ as unreachable:
                    assert_never(unreachable)

    def _future(self, call: int) -> asyncio.Future[str | None] | None:
        """Return the future of ``call``; None if the call has ended or its result is already set."""
        future = self._waiting.get(call)
        return None if future is None or future.done() else future
