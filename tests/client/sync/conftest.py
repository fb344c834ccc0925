"""Fixtures for the sync client: a mock in another thread, and a client of it."""

from collections.abc import Iterator

import pytest

from odyssey_client.sync import Odyssey
from tests.support.mock_in_thread import MockInThread


@pytest.fixture
def mock(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockInThread]:
    with MockInThread(portrait_size=(176, 320), landscape_size=(320, 176)) as mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock


@pytest.fixture
def client(mock: MockInThread) -> Iterator[Odyssey]:
    with Odyssey() as client:
        yield client
