"""Fixture for the tests of the explorer."""

import pytest

from odyssey_mock.explore import code_version
from tests.support.explore.commanded import CODE, COMMIT


@pytest.fixture
def of_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the explorer report a fixed code version.

    The real version would change if files were edited while the suite runs.
    """
    monkeypatch.setattr(code_version, "commit", lambda: COMMIT)
    monkeypatch.setattr(code_version, "fingerprint", lambda: CODE)
