from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from odyssey_client import Odyssey
from odyssey_mock.sync import MockOdyssey


@pytest.fixture(scope="session")
def shared_key(odyssey_mock: MockOdyssey) -> str:
    return odyssey_mock.api_key


@pytest_asyncio.fixture(loop_scope="module")
async def connected(odyssey_client: Odyssey) -> AsyncIterator[Odyssey]:
    await odyssey_client.connect()
    yield odyssey_client
    await odyssey_client.disconnect()
