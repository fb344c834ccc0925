"""The mock of these tests, which runs in a background thread: the sync client blocks the thread of the test."""

from collections.abc import Iterator

import pytest

from odyssey_mock.sync import MockOdyssey
from odyssey_mock.testing.marked_settings import marked_settings


@pytest.fixture
def odyssey_mock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MockOdyssey]:
    """Run a mock with a small picture, which replaces the mock in the event loop of the project's other tests."""
    with MockOdyssey(portrait_size=(176, 320), **marked_settings(request.node)) as mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock
