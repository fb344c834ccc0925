"""Fixtures of all tests: mock and client, and a check of every test's traffic against the contract.

`odyssey_mock/verification/conformance.py` describes the check.
"""

import gc
import os
import sys
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

from odyssey_client import Odyssey, redaction
from odyssey_mock import MockOdyssey
from odyssey_mock.testing.marked_settings import marked_settings
from odyssey_mock.verification.conformance import Conformance
from tests.support.blocking_calls import IS_INSTALLED, BlockingCalls, noted_blocking_calls
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
    """Exempt the collected tests from garbage collections: each full one would visit a million objects of them.

    Afterwards, collect garbage in larger portions. Fewer objects of a test then live until a full collection, so that
    full collections become rare. Each takes 40 ms, because it visits all modules that the tests have imported.

    Python warns about a coroutine that was never awaited when it is collected. In a cycle of references, this may be
    during a later test of the worker, which then fails. A test that counts open files, or expects such a warning,
    collects garbage itself.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Save the data of `make coverage`, because pytest-xdist kills a worker that needs more than 10 s to exit."""
    coverage = sys.modules.get("coverage")  # it is loaded only if it measures this process
    if coverage is not None and (running := coverage.Coverage.current()) is not None:
        running.save()


@pytest.fixture(scope="module", autouse=True)
def _own_secrets() -> Iterator[None]:
    """Let the client forget the secrets of earlier modules, which it would mask in all later texts of this process."""
    known, redaction._known = redaction._known, redaction.Secrets()
    yield
    redaction._known = known


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


@pytest.fixture(scope="session", autouse=True)
def blocking_calls() -> Iterator[BlockingCalls]:
    """Note all calls that block an event loop. Without blockbuster there are none, which is an error if CI=true."""
    assert IS_INSTALLED or os.environ.get("CI") != "true", "expected blockbuster, which scripts/install installs"
    with noted_blocking_calls() as calls:
        yield calls


@pytest.fixture(autouse=True)
def _loop_is_not_blocked(blocking_calls: BlockingCalls) -> Iterator[None]:
    """Check that no event loop of the mock or of the client was blocked during the test."""
    yield
    blocking = blocking_calls.take()
    if blocking:
        pytest.fail(
            "expected no call that blocks an event loop (run it in a thread, or excuse it in "
            f"tests/support/blocking_calls.py), got {len(blocking)}:\n  " + "\n  ".join(map(str, blocking)),
            pytrace=False,
        )


@pytest.fixture(autouse=True)
def _on_contract(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the mock's journal against the contract after each test with the fixture `odyssey_mock`."""
    mock = request.getfixturevalue("odyssey_mock") if "odyssey_mock" in request.fixturenames else None
    yield
    if mock is not None:
        excused = request.node.get_closest_marker("off_contract")
        conformance().check_journal(mock.journal.entries, client=excused is None)
