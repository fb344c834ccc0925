"""Helpers for tests with one test case for each fault action in the catalog."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS, FaultAction
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT
from tests.support.visits import Visits, visits

SECONDS = 5.0
"""Delay in seconds of faults that are tested with a delay."""

type Case = Callable[["Stage"], Awaitable[None]]


@dataclass
class Cases:
    """A registry of test cases for the fault points whose names start with `prefix`.

    Each test case is a function, registered for one or more actions of a fault point.
    """

    prefix: str
    elsewhere: Collection[str] = ()
    """Fault points with this prefix that other test modules cover."""
    by_entry: dict[tuple[str, str], Case] = field(default_factory=dict)

    def of(self, point: str, *actions: str) -> Callable[[Case], Case]:
        """Return a decorator that registers a function as the test case of these actions at `point`."""

        def added(case: Case) -> Case:
            self.by_entry |= {(point, do): case for do in actions}
            return case

        return added

    @property
    def entries(self) -> list[tuple[str, str, float]]:
        """The parameters (fault point, action, delay in seconds) of all tests.

        An action with an optional delay has two tests: without a delay and with one.
        """
        points = [point for point in POINTS if point.startswith(self.prefix) and point not in self.elsewhere]
        return [
            (point, do, seconds)
            for point in points
            for do, action in POINTS[point].actions.items()
            for seconds in _times(action)
        ]

    async def show(self, mock: MockOdyssey, point: str, do: str, seconds: float) -> None:
        """Run one test case. Assert that its fault fires, and that no task, thread, file or session is left."""
        case = self.by_entry[point, do]
        async with nothing_left():
            async with visits(mock) as to:
                await case(Stage(mock, to, point, do, seconds))
                mock.expect(point, kind="fault", do=do)
            await mock.reset()
            assert not mock.sessions
            assert not mock.clock.pending


def _times(action: FaultAction) -> Sequence[float]:
    """Return the delays to test: 0 if the action has no delay, `SECONDS` if it requires one, else 0 and `SECONDS`."""
    if "seconds" not in action.parameters:
        return [0.0]
    return [SECONDS] if action.parameters["seconds"].required else [0.0, SECONDS]


@dataclass
class Stage:
    """The arguments of a test case: the fault point and action, the mock, and a protocol-level client."""

    mock: MockOdyssey
    to: Visits
    point: str
    do: str
    seconds: float

    def add(self, **more: JSON) -> None:
        """Add the fault to the mock, with its delay if the action has one."""
        late: dict[str, JSON] = {"seconds": self.seconds} if "seconds" in self.takes else {}
        self.mock.faults.add({"at": self.point, "do": self.do, **late, **more})

    @property
    def takes(self) -> Collection[str]:
        """The names of the parameters that the fault action accepts."""
        return POINTS[self.point].actions[self.do].parameters

    async def fired(self) -> None:
        """Wait until the fault has fired. If it is delayed, also wait until its timer is running."""
        await self.mock.wait_for("fault", self.point)
        async with asyncio.timeout(LIMIT):
            while "seconds" in self.takes and self.seconds and not self._is_running:  # noqa: ASYNC110 - no event signals it
                await asyncio.sleep(0)  # noqa: TID251 - one iteration of the loop; no time passes

    @property
    def _is_running(self) -> bool:
        return any(deadline.when == self.mock.clock.time() + self.seconds for deadline in self.mock.clock.pending)

    async def due(self, is_quiet: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Advance the mock's clock until the delay of the fault has passed.

        0.1 s before, assert that `is_quiet` returns True: the fault has had no effect yet.
        """
        await self.fired()
        if self.seconds:
            await self.mock.advance(self.seconds - 0.1)
            assert is_quiet is None or await is_quiet()
            await self.mock.advance(0.1)


@asynccontextmanager
async def no_warnings(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Assert that the `with` block logs no warning and no error, even if a test has requested a fault."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
