"""Every test that uses the mock is judged by the contract as well: see `tests/support/contract/conformance.py`."""

from collections.abc import Iterator
from functools import cache

# Tests that pytester runs in this process forget what they have imported, and what is then imported again does not know
# the exceptions of its former self (httpcore), or cannot be imported twice (numpy). So what is imported late is here.
import anyio._backends._asyncio  # noqa: F401
import httpcore  # noqa: F401
import pytest
import websockets.asyncio.client  # noqa: F401
from hypothesis import settings

import odyssey_client.connection.connection
import odyssey_client.rtc.spectator_peer  # noqa: F401
import odyssey_mock.testing.simulated  # noqa: F401
from tests.support.contract.conformance import Conformance
from tests.support.time_limits import TimeLimits

# How long one example takes says more about the machine than about the code.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

MARKER = "off_contract(why): the test sends bad traffic on purpose; its client is not held to fixtures/contract"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.pluginmanager.register(TimeLimits(), "time limits")


@cache
def conformance() -> Conformance:
    return Conformance()


@pytest.fixture(autouse=True)
def _on_contract(request: pytest.FixtureRequest) -> Iterator[None]:
    """Judge the mock's journal after the test, when its client has disconnected."""
    mock = request.getfixturevalue("odyssey_mock") if "odyssey_mock" in request.fixturenames else None
    yield
    if mock is not None:
        excused = request.node.get_closest_marker("off_contract")
        conformance().check_journal(mock.journal.entries, client=excused is None)
