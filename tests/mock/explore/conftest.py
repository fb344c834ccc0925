"""What tests of the command share."""

import pytest

from odyssey_mock.explore import code_version
from tests.support.explore.commanded import CODE, COMMIT


@pytest.fixture
def of_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code be of one version, whose results go together: files may be edited while the suite runs."""
    monkeypatch.setattr(code_version, "commit", lambda: COMMIT)
    monkeypatch.setattr(code_version, "fingerprint", lambda: CODE)
