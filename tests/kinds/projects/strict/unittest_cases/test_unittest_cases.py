"""Tests in `unittest.TestCase` and `IsolatedAsyncioTestCase` that pytest runs. They use the pytest fixtures."""

import unittest

import httpx
import pytest

from odyssey_client import Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock.sync import MockOdyssey

KEYS: set[str] = set()


class CatTest(unittest.TestCase):
    mock: MockOdyssey
    client: SyncOdyssey

    @pytest.fixture(autouse=True)
    def _service(self, odyssey_mock: MockOdyssey, odyssey_sync_client: SyncOdyssey) -> None:
        self.mock, self.client = odyssey_mock, odyssey_sync_client

    def setUp(self) -> None:
        self.assertNotIn(self.mock.api_key, KEYS)
        self.assertEqual(self.mock.journal.entries, ())
        KEYS.add(self.mock.api_key)

    def test_prompt_is_applied(self) -> None:
        self.client.connect()
        self.client.start_stream("A cat on a windowsill")
        self.assertIn("Pet the cat", self.client.interact("Pet the cat"))
        self.client.end_stream()
        self.mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])

    @pytest.mark.odyssey(clock="manual")
    def test_clock_moves_by_hand(self) -> None:
        before = self.mock.clock.time()
        self.mock.advance(60)
        self.assertEqual(self.mock.clock.time(), before + 60)


@pytest.mark.usefixtures("odyssey_mock")
class EnvironmentTest(unittest.TestCase):
    def test_client_finds_mock_in_environment(self) -> None:
        with SyncOdyssey() as client:
            self.assertEqual(client.list_simulations().jobs, ())


class AsyncCatTest(unittest.IsolatedAsyncioTestCase):
    mock: MockOdyssey
    client: Odyssey

    @pytest.fixture(autouse=True)
    def _service(self, odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
        self.mock, self.client = odyssey_mock, odyssey_client

    async def asyncSetUp(self) -> None:
        self.assertNotIn(self.mock.api_key, KEYS)
        self.assertEqual(self.mock.journal.entries, ())
        KEYS.add(self.mock.api_key)

    async def asyncTearDown(self) -> None:
        await self.client.disconnect()

    async def test_prompt_is_applied(self) -> None:
        await self.client.connect()
        await self.client.start_stream("A cat on a windowsill")
        self.assertIn("Pet the cat", await self.client.interact("Pet the cat"))
        await self.client.end_stream()

    @pytest.mark.odyssey(clock="manual")
    async def test_clock_moves_by_hand(self) -> None:
        async with httpx.AsyncClient(base_url=self.mock.url) as http:
            login = await http.post("/auth/token", json={"api_key": self.mock.api_key})
            http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            await self.mock.aio.advance(3600)
            self.assertEqual((await http.get("/simulation-jobs")).status_code, 401)
