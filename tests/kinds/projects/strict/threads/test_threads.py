"""Tests that run clients in several threads, and that use one mock from several threads at once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from odyssey_client import Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock.sync import MockOdyssey


def pet_the_cat() -> str:
    with SyncOdyssey() as client:
        client.connect()
        client.start_stream("A cat on a windowsill")
        applied = client.interact("Pet the cat")
        client.end_stream()
        return applied


def test_two_threads_have_one_session_each(odyssey_mock: MockOdyssey) -> None:
    with ThreadPoolExecutor(2) as pool:
        applied = [future.result() for future in [pool.submit(pet_the_cat) for _ in range(2)]]

    assert all("Pet the cat" in each for each in applied)
    odyssey_mock.expect("stream_ended", count=2)


def test_thread_has_event_loop_of_its_own(odyssey_mock: MockOdyssey) -> None:
    async def list_jobs() -> None:
        async with Odyssey() as client:
            await client.list_simulations()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, list_jobs()).result()

    assert len(odyssey_mock.requests("GET /simulation-jobs")) == 1


@pytest.mark.asyncio
async def test_sync_client_runs_beside_event_loop(odyssey_mock: MockOdyssey) -> None:
    assert "Pet the cat" in await asyncio.to_thread(pet_the_cat)
    odyssey_mock.expect("stream_ended", count=1)


@pytest.mark.odyssey(clock="manual")
def test_threads_share_the_mock(odyssey_mock: MockOdyssey) -> None:
    began = odyssey_mock.clock.time()

    def log_in() -> None:
        httpx.post(f"{odyssey_mock.url}/auth/token", json={"api_key": odyssey_mock.api_key}).raise_for_status()
        odyssey_mock.advance(60)

    threads = [threading.Thread(target=log_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(odyssey_mock.requests("POST /auth/token")) == 4
    assert odyssey_mock.clock.time() == began + 240
