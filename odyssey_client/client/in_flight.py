"""Calls in progress that need no live connection. If the client is closed, they raise `ConnectionClosedError`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from odyssey_client.errors import ConnectionClosedError, OdysseyError
from odyssey_client.event_loop import require_loop, require_only_loop


class InFlightCalls:
    """The calls of one client that are in progress.

    `end` cancels only the steps of calls (`Call.step`). Code of the caller, which may run between two steps, continues.

    Attributes:
        steps: The waiting steps, in the order they began: a dictionary with values None, used as an ordered set.
        ends: How many times `end` was called.
        lock: Held by a thread that begins a step or a connection.
    """

    def __init__(self, connection_loop: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None) -> None:
        """Create the object without calls.

        ``connection_loop`` returns the event loop of the client's open connection, or None if there is none.
        """
        self.steps: dict[Step, None] = {}
        self.ends = 0
        self.lock = threading.Lock()
        self._connection_loop = connection_loop

    @property
    def are_waiting(self) -> bool:
        """Whether a call in the running event loop is in a block of `Call.step` that `end` has not cancelled."""
        here = asyncio.get_running_loop()
        return any(step.loop is here and not step.is_told for step in self.steps)

    def begin(self, name: str) -> Call:
        """Return a new call of the client's method ``name``, such as ``simulate``."""
        return Call(self, name)

    def require_only_loop(self, call: str) -> None:
        """Check that no other event loop is using the client.

        A caller that then begins a step or a connection must hold `lock` from the check until it has begun.

        Raises:
            InvalidStateError: the caller does not run on asyncio, or another thread's event loop is using the client.
        """
        loops = {step.loop for step in tuple(self.steps)}
        connection_loop = self._connection_loop()
        require_only_loop(call, loops if connection_loop is None else {*loops, connection_loop})

    async def end(self) -> None:
        """End the current calls; return once their steps have exited. Calls that begin later are not affected."""
        self.ends += 1
        here = asyncio.get_running_loop()
        # Steps of other event loops are dropped: those loops no longer run.
        self.steps = dict.fromkeys(step for step in self.steps if step.loop is here)
        # Wait also for steps that another `end` has cancelled. A step must not wait for itself.
        steps = [step for step in self.steps if not (step.is_told and step.task is asyncio.current_task())]
        for step in steps:
            if not step.is_told:
                step.is_told = True
                step.scope.reschedule(here.time())
        if steps:
            await asyncio.wait([step.left for step in steps])


class Call:
    """One call of a client method. The method runs each of its waits in a `step`, which can be cancelled."""

    def __init__(self, calls: InFlightCalls, name: str) -> None:
        self._calls = calls
        self._name = name
        self._ends = calls.ends

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """Run the block so that `InFlightCalls.end` can cancel it.

        Raises:
            ConnectionClosedError: the client was closed after the call began, before or during the block.
            InvalidStateError: the caller does not run on asyncio, or another thread's event loop is using the client.
        """
        require_loop(self._name)
        if self._ends != self._calls.ends:
            raise self._closed()
        try:
            # A timeout without a deadline. `end` sets the deadline, which cancels only this block.
            async with asyncio.timeout(None) as scope:
                step = Step(scope)
                with self._calls.lock:
                    self._calls.require_only_loop(self._name)
                    self._calls.steps[step] = None
                try:
                    yield
                finally:
                    self._calls.steps.pop(step, None)
                    step.left.set_result(None)
        except TimeoutError as error:
            if isinstance(error, OdysseyError) or not scope.expired():
                raise
            raise self._closed() from None

    def _closed(self) -> ConnectionClosedError:
        return ConnectionClosedError(f"The client was closed by disconnect() while {self._name}() was under way.")


@dataclass(eq=False)
class Step:
    """One wait of a call, such as an HTTP request.

    Attributes:
        scope: The timeout that cancels the step.
        loop: The event loop of the step.
        left: A future that is done when the step has exited.
        task: The task that runs the step.
        is_told: Whether `InFlightCalls.end` has cancelled the step.
    """

    scope: asyncio.Timeout
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    left: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    task: asyncio.Task[object] | None = field(default_factory=asyncio.current_task)
    is_told: bool = False
