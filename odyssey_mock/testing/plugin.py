"""The pytest plugin: a fresh mock for a test, and a client on it.

pytest loads it in every run of everybody who has this package installed, so it imports nothing of weight by itself.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

try:
    # In its strict mode, where its users need not change theirs, it takes no other's fixtures.
    from pytest_asyncio import fixture
except ImportError:
    # Then pytest says what is missing, or another plugin runs them.
    fixture = pytest.fixture  # type: ignore[assignment]  # called in the same way

if TYPE_CHECKING:
    from odyssey_client import Odyssey
    from odyssey_mock.server import MockOdyssey

MARKER = (
    "odyssey(**settings): settings of the odyssey_mock fixture for this test, as MockOdyssey takes them by name; "
    'for example @pytest.mark.odyssey(clock="manual")'
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def marked_settings(node: pytest.Item) -> dict[str, Any]:  # Any: each is checked against its own setting
    """Gather the settings of a test's `odyssey` markers; the nearest to the test wins."""
    settings: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("odyssey"))):
        if marker.args:
            pytest.fail(f"@pytest.mark.odyssey takes settings by name, came {marker.args!r}", pytrace=False)
        settings |= marker.kwargs
    return settings


@fixture
async def odyssey_mock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> "AsyncIterator[MockOdyssey]":
    """A `MockOdyssey` of this test's own; `ODYSSEY_API_URL` and `ODYSSEY_API_KEY` point to it.

    It runs in the test's event loop, so the test must be async: while a sync one runs, nothing answers.
    """
    from odyssey_mock import FaultError, MockOdyssey, SettingsError, UnknownSettingError  # noqa: PLC0415

    try:
        mock = MockOdyssey(**marked_settings(request.node))
    except (FaultError, SettingsError, UnknownSettingError) as error:
        raise pytest.fail.Exception(f"@pytest.mark.odyssey: {error}", pytrace=False) from None
    async with mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock


@fixture
async def odyssey_client(odyssey_mock: "MockOdyssey") -> "AsyncIterator[Odyssey]":
    """An `Odyssey` client on this test's mock, not connected yet; disconnected at the end."""
    from odyssey_client import Odyssey  # noqa: PLC0415

    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    try:
        yield client
    finally:
        await client.disconnect()
