"""Tests that use the client and the mock while time-machine freezes the time of the process."""

import pytest
import time_machine

from odyssey_client import Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock.sync import MockOdyssey

NEW_YEAR = 1_893_456_000.0


def test_prompt_is_applied(odyssey_mock: MockOdyssey, odyssey_sync_client: SyncOdyssey) -> None:
    with time_machine.travel(NEW_YEAR, tick=False):
        odyssey_sync_client.connect()
        odyssey_sync_client.start_stream("A cat on a windowsill")
        applied = odyssey_sync_client.interact("Pet the cat")
        odyssey_sync_client.end_stream()

    assert "Pet the cat" in applied


@pytest.mark.asyncio
async def test_session_opens_in_event_loop(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    with time_machine.travel(NEW_YEAR, tick=False):
        await odyssey_client.connect()

        assert list(odyssey_mock.sessions) == [odyssey_client.current_session_id]
