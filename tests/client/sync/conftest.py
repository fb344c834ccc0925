"""A fixture that runs the mock in a background thread, because the sync client blocks the thread of the test."""

from collections.abc import Iterator

import pytest

from odyssey_mock.sync import MockOdyssey
from odyssey_mock.testing.marked_settings import marked_settings


@pytest.fixture
def odyssey_mock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MockOdyssey]:
    """Run a mock with small frames in a background thread, and set the variables with which clients find the mock."""
    with MockOdyssey(portrait_size=(176, 320), **marked_settings(request.node)) as mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock
