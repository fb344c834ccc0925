"""Fixtures of all tests: mock and client, and a check of every test's traffic against the contract.

`tests/support/contract/conformance.py` describes the check.
"""

import gc
from collections.abc import AsyncIterator, Generator, Iterator
from functools import cache

# pytester unloads modules that were first imported while it ran in this process. When they are imported again, their
# exceptions are different classes (httpcore), or the import fails (numpy). So this file imports such modules first.
import anyio._backends._asyncio  # noqa: F401
import httpcore  # noqa: F401
import pytest
import pytest_asyncio
import websockets.asyncio.client  # noqa: F401
from hypothesis import settings
from xdist.remote import Producer

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.testing.marked_settings import marked_settings
from tests.support.contract.conformance import Conformance
from tests.support.scheduling import GroupScheduling
from tests.support.time_limits import TimeLimits

# No deadline: the duration of one example depends more on the machine than on the code.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
# For long runs of tests/mock/hostile_input (`--hypothesis-profile=campaign`).
settings.register_profile("campaign", deadline=None, max_examples=2000)

collect_ignore = ["kinds/projects"]  # tests/kinds runs these tests in other processes

MARKER = "off_contract(why): the test sends invalid traffic on purpose; odyssey_mock/contract checks only the mock"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.pluginmanager.register(TimeLimits(), "time limits")


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may be disabled
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    return GroupScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exempt the collected tests from garbage collections: each full one would visit a million objects of them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@cache
def conformance() -> Conformance:
    return Conformance()


@pytest_asyncio.fixture(name="odyssey_mock")
async def mock_in_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MockOdyssey]:
    """Run a mock in the event loop of the test. This fixture replaces `odyssey_mock` of the mock's pytest plugin.

    The tests of this project use internals of the mock, which work only in the mock's own event loop.
    """
    async with MockOdyssey(**marked_settings(request.node)) as mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock


@pytest_asyncio.fixture(name="odyssey_client")
async def client_in_loop(odyssey_mock: MockOdyssey) -> AsyncIterator[Odyssey]:
    """Yield a client for the test's mock. The client is not connected yet, and is disconnected after the test."""
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) as client:
        yield client


@pytest.fixture(autouse=True)
def _on_contract(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the mock's journal against the contract after each test with the fixture `odyssey_mock`."""
    mock = request.getfixturevalue("odyssey_mock") if "odyssey_mock" in request.fixturenames else None
    yield
    if mock is not None:
        excused = request.node.get_closest_marker("off_contract")
        conformance().check_journal(mock.journal.entries, client=excused is None)
