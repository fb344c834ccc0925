"""Unsupported uses of the fixtures, the mock and the clients. Every test in this file is expected to fail."""

import pickle
import unittest

import pytest
from hypothesis import given
from hypothesis.strategies import just

from odyssey_client import Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock import MockOdyssey as LoopMock
from odyssey_mock.sync import MockOdyssey

on_trio = pytest.mark.parametrize("anyio_backend", ["trio"])


def test_sync_test_with_async_client(odyssey_client: Odyssey) -> None:
    pass


@pytest.mark.anyio
@on_trio
async def test_trio_with_async_client(odyssey_client: Odyssey) -> None:
    pass


@pytest.mark.anyio
@on_trio
async def test_trio_with_own_client(odyssey_mock: MockOdyssey) -> None:
    await Odyssey().connect()


@pytest.mark.anyio
@on_trio
async def test_trio_with_mock_of_asyncio() -> None:
    async with LoopMock():
        pass


@pytest.mark.anyio
@on_trio
async def test_trio_with_blocking_client(odyssey_sync_client: SyncOdyssey) -> None:
    odyssey_sync_client.connect()


@pytest.mark.asyncio
async def test_asyncio_with_blocking_client(odyssey_sync_client: SyncOdyssey) -> None:
    odyssey_sync_client.connect()


@pytest.mark.asyncio
async def test_mock_of_asyncio_with_blocking_client() -> None:
    async with LoopMock() as mock:
        SyncOdyssey(mock.api_key, api_url=mock.url).connect()


@pytest.mark.asyncio
@pytest.mark.odyssey(clock="manual")
async def test_asyncio_with_blocking_call(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.advance(60)


@pytest.mark.asyncio
async def test_client_of_other_loop(connected: Odyssey) -> None:
    await connected.start_stream("A cat on a windowsill")


@pytest.mark.asyncio
@given(number=just(1))
async def test_given_with_async_client(odyssey_client: Odyssey, number: int) -> None:
    pass


@given(number=just(1))
def test_given_with_sync_client(odyssey_sync_client: SyncOdyssey, number: int) -> None:
    pass


@pytest.mark.odyssey(port=8400)
def test_own_port_with_shared_address(odyssey_url: str) -> None:
    pass


def test_wider_fixture_with_state(odyssey_mock: MockOdyssey, shared_key: str) -> None:
    pass


@pytest.mark.asyncio
async def test_async_client_requested_late(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("odyssey_client")


class TestMethods(unittest.TestCase):
    def test_unittest_with_argument(self, odyssey_mock: MockOdyssey) -> None:
        pass


def test_mock_for_another_process(odyssey_mock: MockOdyssey) -> None:
    pickle.dumps(odyssey_mock)


@pytest.mark.odyssey(clocks="manual")
def test_marker_with_unknown_setting(odyssey_mock: MockOdyssey) -> None:
    pass
