"""The fixtures of a run against the service. They take the place of those of `plugin.py` that provide the mock.

pytest uses them because their module is registered later. The other fixtures, such as the clients, stay the same.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from odyssey_client.config import API_KEY_VARIABLE, API_URL_VARIABLE
from odyssey_mock.testing import leftovers
from odyssey_mock.testing.around_test import around_test
from odyssey_mock.testing.live.run import METER, SERVICE
from odyssey_mock.testing.live.service import LiveService
from odyssey_mock.testing.plugin import CLIENTS, PASSED, RUNNING, begin_event_loop
from odyssey_mock.testing.trace_plugin import record_failure

if TYPE_CHECKING:
    from odyssey_client import Odyssey

_LEFT_OPEN = "a live session was still open, and was ended: call disconnect()"


@pytest.fixture(scope="session")
def _odyssey_server(pytestconfig: pytest.Config) -> LiveService:
    """Return the address of the service and the key."""
    return LiveService(pytestconfig.stash[SERVICE])


@pytest.fixture
def _odyssey_test(pytestconfig: pytest.Config) -> Iterator[None]:
    """Point the environment to the service during a test, and end all sessions that the test leaves open."""
    item, service = cast("pytest.Function", pytestconfig.stash[RUNNING]), pytestconfig.stash[SERVICE]
    meter = pytestconfig.stash[METER]
    begin_event_loop(item._request)  # noqa: SLF001 - pytest has no public name for it
    clients: list[Odyssey] = []
    item.stash[CLIENTS] = clients
    found: list[str] = []
    before = meter.connections

    @asynccontextmanager
    async def ending_sessions() -> AsyncIterator[None]:
        # Sessions of fixtures, and of sync clients, which have an event loop of their own, end with the fixtures.
        earlier, loop = meter.connections, asyncio.get_running_loop()
        try:
            yield
        finally:
            left = [each for each in meter.connections - earlier if each.loop is loop]
            if left:
                found.append(_LEFT_OPEN)
            await meter.end_here(left)

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(API_URL_VARIABLE, service.url)
        environment.setenv(API_KEY_VARIABLE, service.key)
        with around_test(
            item,
            restart=_nothing,
            failed=partial(record_failure, item),
            found=found,
            clients=clients,
            around=ending_sessions,
        ):
            yield
    clients.clear()
    left = meter.connections - before
    if left:
        found.append(_LEFT_OPEN)
    meter.end(left)
    if item.stash.get(PASSED, False):
        leftovers.report(item, list(dict.fromkeys(found)))


def _nothing() -> None:
    """Do nothing before an example of `@given`: the service has no new state."""
