"""Calls without a connection, ended when their client is: whatever they wait for, and with an error that says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from odyssey_client.errors import ConnectionClosedError, OdysseyError


class InFlightCalls:
    """The calls of one client. Between two steps of a call its user's code may run, and that is never cut off.

    Attributes:
        steps: What is waited for now, in the order it began; the values are nothing.
        ends: How often the calls there were have been ended.
    """

    def __init__(self) -> None:
        self.steps: dict[Step, None] = {}
        self.ends = 0

    @property
    def are_waiting(self) -> bool:
        """Whether a call waits for something now, and was not told to end."""
        here = asyncio.get_running_loop()
        return any(step.loop is here and not step.is_told for step in self.steps)

    def begin(self, name: str) -> Call:
        """Note a call by its name, such as ``simulate``."""
        return Call(self, name)

    async def end(self) -> None:
        """End the calls that there are, and return when none waits any longer. Calls that begin later go on."""
        self.ends += 1
        here = asyncio.get_running_loop()
        # Those of an event loop that is gone are gone with it.
        self.steps = dict.fromkeys(step for step in self.steps if step.loop is here)
        # Those that another end has told are waited for as well, but not by themselves.
        steps = [step for step in self.steps if not (step.is_told and step.task is asyncio.current_task())]
        for step in steps:
            if not step.is_told:
                step.is_told = True
                step.scope.reschedule(here.time())
        if steps:
            await asyncio.wait([step.left for step in steps])


class Call:
    """One call; every wait of it is a `step`."""

    def __init__(self, calls: InFlightCalls, name: str) -> None:
        self._calls = calls
        self._name = name
        self._ends = calls.ends

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """Wait for something inside this block.

        Raises:
            ConnectionClosedError: the client was closed since the call began.
        """
        if self._ends != self._calls.ends:
            raise self._closed()
        try:
            # A time limit without a time: it cancels what is inside, and nothing else, when `end` sets one.
            async with asyncio.timeout(None) as scope:
                step = Step(scope)
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
    """One wait of a call.

    Attributes:
        scope: What cuts it off.
        loop: Whose time it waits in.
        left: Done when it is over.
        task: Who waits.
        is_told: Whether it was told to end.
    """

    scope: asyncio.Timeout
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    left: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    task: asyncio.Task[object] | None = field(default_factory=asyncio.current_task)
    is_told: bool = False
