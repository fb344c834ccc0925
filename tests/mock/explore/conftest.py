"""Fixtures of the explorer's tests."""

import pytest

from odyssey_mock.explore import code_version
from tests.support.explore.commanded import CODE, COMMIT


@pytest.fixture
def of_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the explorer report a fixed code version, because files may be edited while the suite runs."""
    monkeypatch.setattr(code_version, "commit", lambda: COMMIT)
    monkeypatch.setattr(code_version, "fingerprint", lambda: CODE)
