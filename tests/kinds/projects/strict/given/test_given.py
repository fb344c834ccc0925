"""Hypothesis tests with the fixture `odyssey_mock`. The mock has new state in each example."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis.strategies import sampled_from

from odyssey_client import Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock.sync import MockOdyssey

KEYS: set[str] = set()

few = settings(max_examples=2, deadline=None, database=None, derandomize=True)
prompts = sampled_from(["Pet the cat", "Feed the cat"])


@given(prompt=prompts)
@few
def test_prompt_is_applied(odyssey_mock: MockOdyssey, prompt: str) -> None:
    with SyncOdyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) as client:
        client.connect()
        client.start_stream("A cat on a windowsill")
        assert prompt in client.interact(prompt)
        client.end_stream()
    odyssey_mock.expect("update_acknowledged", count=1)


@pytest.mark.asyncio
@given(prompt=prompts)
@few
async def test_each_example_has_one_session(odyssey_mock: MockOdyssey, prompt: str) -> None:
    async with Odyssey() as client:
        await client.connect()
        assert list(odyssey_mock.sessions) == [client.current_session_id]


@given(prompt=prompts)
@few
def test_each_example_has_new_state(odyssey_mock: MockOdyssey, prompt: str) -> None:
    assert odyssey_mock.api_key not in KEYS
    assert odyssey_mock.journal.entries == ()
    KEYS.add(odyssey_mock.api_key)
    httpx.post(f"{odyssey_mock.url}/auth/token", json={"api_key": odyssey_mock.api_key}).raise_for_status()


@pytest.mark.odyssey(clock="manual")
@given(prompt=prompts)
@few
def test_each_example_has_own_clock(odyssey_mock: MockOdyssey, prompt: str) -> None:
    began = odyssey_mock.journal.began_at
    odyssey_mock.advance(60)
    assert odyssey_mock.clock.time() == began + 60
