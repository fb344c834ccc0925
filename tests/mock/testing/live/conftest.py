"""The fixture `service`: a mock that stands for the service."""

from collections.abc import Iterator

import pytest

from odyssey_mock import AccountSettings
from odyssey_mock.sync import MockOdyssey
from tests.support.live_runs import KEY


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockOdyssey]:
    """Run a service, to which the environment of the project points."""
    with MockOdyssey(keys={KEY: AccountSettings()}) as mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock
