"""A fixture that describes a terminal with colors to all tests of this folder."""

import pytest

from tests.support.terminals import describe_terminal


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch)
