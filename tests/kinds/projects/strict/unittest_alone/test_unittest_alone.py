"""Tests for `python -m unittest`, which use no pytest fixtures."""

import unittest

import httpx

from odyssey_client import Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock.sync import MockOdyssey


class CatTest(unittest.TestCase):
    def setUp(self) -> None:
        self.mock = self.enterContext(MockOdyssey(clock="manual"))
        self.client = self.enterContext(SyncOdyssey(self.mock.api_key, api_url=self.mock.url))

    def test_prompt_is_applied(self) -> None:
        self.client.connect()
        self.client.start_stream("A cat on a windowsill")
        self.assertIn("Pet the cat", self.client.interact("Pet the cat"))
        self.client.end_stream()
        self.mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])

    def test_token_expires_after_an_hour(self) -> None:
        login = httpx.post(f"{self.mock.url}/auth/token", json={"api_key": self.mock.api_key})
        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        self.mock.advance(3600)
        self.assertEqual(httpx.get(f"{self.mock.url}/simulation-jobs", headers=headers).status_code, 401)


class AsyncCatTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.mock = self.enterContext(MockOdyssey(clock="manual"))
        self.client = await self.enterAsyncContext(Odyssey(self.mock.api_key, api_url=self.mock.url))

    async def test_prompt_is_applied(self) -> None:
        await self.client.connect()
        await self.client.start_stream("A cat on a windowsill")
        self.assertIn("Pet the cat", await self.client.interact("Pet the cat"))
        await self.client.end_stream()
        self.mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])

    async def test_each_test_has_own_clock(self) -> None:
        before = self.mock.clock.time()
        await self.mock.aio.advance(60)
        self.assertEqual(self.mock.clock.time(), before + 60)


if __name__ == "__main__":
    unittest.main()
