"""Async tests that run the mock in their own event loop, without the fixtures."""

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey

pytestmark = pytest.mark.asyncio


async def test_prompt_is_applied() -> None:
    async with MockOdyssey() as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        await client.start_stream("A cat on a windowsill")
        applied = await client.interact("Pet the cat")
        await client.end_stream()

    assert "Pet the cat" in applied
    mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])


async def test_two_mocks_run_side_by_side() -> None:
    async with MockOdyssey() as first, MockOdyssey() as second, Odyssey(first.api_key, api_url=first.url) as client:
        await client.connect()

    assert len(first.requests("POST /sessions/request")) == 1
    assert second.journal.entries == ()


async def test_inactive_session_ends_after_its_limit() -> None:
    async with MockOdyssey(clock="manual", inactivity=60) as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        await mock.advance(60)
        await mock.wait_for("state", "session", to="closed")
