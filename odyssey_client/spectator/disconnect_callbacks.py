"""Callbacks that run when a spectator's connection is over."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odyssey_client.errors import OdysseyConfigError, OdysseyError
from odyssey_client.events import capacity, handler_context, in_handler
from odyssey_client.platform import Clock
from odyssey_client.redaction import get_logger
from odyssey_client.trace.described import error_text

if TYPE_CHECKING:
    from odyssey_client.trace.client_trace import ClientTrace
    from odyssey_client.trace.recorder import Span

logger = get_logger(__name__)

CALLBACK_LIMIT_S = 2.0
"""Seconds that `DisconnectCallbacks.finish` waits for callbacks.

After cancelling them, it waits for the same time once more.
"""

type DisconnectCallback = Callable[..., Awaitable[Any] | Any]
"""A sync or async function with no argument, or with the error that ended the connection (None for a clean end)."""


@dataclass(frozen=True, slots=True)
class _Registered:
    callback: DisconnectCallback
    context: contextvars.Context
    """The context that the callback runs in."""


class DisconnectCallbacks:
    """The callbacks of one connection, each called once. Exceptions that they raise are logged and ignored."""

    def __init__(self, clock: Clock, trace: ClientTrace | None = None) -> None:
        """Create the object without callbacks. ``trace`` records their calls."""
        self._clock = clock
        self._trace = trace
        self._waiting: list[_Registered] = []
        self._is_over = False
        self._error: OdysseyError | None = None
        self._running: set[asyncio.Task[None]] = set()

    def add(self, callback: DisconnectCallback) -> None:
        """Call ``callback`` when the connection is over; at once if the connection is already over.

        Raises:
            OdysseyConfigError: ``callback`` is not callable.
        """
        if not callable(callback):
            raise OdysseyConfigError(f"expected a function for on_disconnect, got {type(callback).__name__}")
        # Run in the context of the code that adds the callback. The end may be reported in a task of aiortc, whose
        # context would mark the callback's task as the peer's, and closing the peer would cancel it.
        registered = _Registered(callback, handler_context())
        if self._is_over:
            self._call(registered)
        else:
            self._waiting.append(registered)

    def call(self, error: OdysseyError | None) -> None:
        """Call all callbacks, with ``error`` if they accept an argument. From now on, `add` calls callbacks at once."""
        self._is_over, self._error = True, error
        waiting, self._waiting = self._waiting, []
        for registered in waiting:
            self._call(registered)

    async def finish(self) -> None:
        """Wait up to `CALLBACK_LIMIT_S` for async callbacks that are still running; then cancel them.

        If a callback calls this method, the method returns at once, because the callback would wait for itself.
        """
        if in_handler():
            return
        if late := await self._unfinished(self._running):
            logger.warning("an on_disconnect callback was still running after %g s; cancelling it", CALLBACK_LIMIT_S)
            for task in late:
                task.cancel()
            await self._unfinished(late)  # limited again: a callback may suppress its cancellation

    async def _unfinished(self, called: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        if not called:
            return set()
        waited_for = set(called)
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(CALLBACK_LIMIT_S):
                await asyncio.wait(waited_for)
        return {task for task in waited_for if not task.done()}

    def _call(self, registered: _Registered) -> None:
        arguments = (self._error,)[: capacity(registered.callback)]
        span = None if self._trace is None else self._trace.begin_callback("on_disconnect", arguments)
        try:
            result = registered.context.run(registered.callback, *arguments)
        except (Exception, asyncio.CancelledError) as error:  # a user's function may raise anything
            _end(span, error)
            logger.exception("an on_disconnect callback raised an exception")
            return
        if not inspect.isawaitable(result):
            _end(span)
            return
        task = asyncio.get_running_loop().create_task(_logged(result, span), context=registered.context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _logged(callback: Awaitable[object], span: Span | None) -> None:
    try:
        await callback
    except Exception as error:  # a user's function may raise anything
        _end(span, error)
        logger.exception("an on_disconnect callback raised an exception")
    except BaseException as error:
        _end(span, error)
        raise
    else:
        _end(span)


def _end(span: Span | None, error: BaseException | None = None) -> None:
    if span is not None:
        span.end(error=None if error is None else error_text(error))
