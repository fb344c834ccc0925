import pytest

from odyssey_mock.sync import MockOdyssey


@pytest.fixture(autouse=True)
def _mock(odyssey_mock: MockOdyssey, doctest_namespace: dict[str, object]) -> None:
    doctest_namespace["mock"] = odyssey_mock
