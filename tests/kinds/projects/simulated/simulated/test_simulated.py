"""Tests in simulated time. The client, and a library of the test, import modules during the simulation."""

import asyncio
import importlib

import pytest

from odyssey_client import Odyssey
from odyssey_mock.testing import CLIENT, SERVER, World


@pytest.mark.odyssey_sim(seeds=2)
async def test_stream_outlives_its_connection(odyssey_sim: World) -> None:
    async with Odyssey() as client:
        await client.connect()
        await client.start_stream("A lighthouse in a storm")
        odyssey_sim.wire.cut(CLIENT, SERVER)
        await asyncio.sleep(20)  # noqa: TID251 - virtual time, which costs nothing
        odyssey_sim.wire.heal()
        await asyncio.sleep(20)  # noqa: TID251 - virtual time, which costs nothing
        assert "clears" in await client.interact("The storm clears")


@pytest.mark.odyssey_sim(seeds=1, depth="full")
async def test_real_webrtc_is_simulated(odyssey_sim: World) -> None:
    async with Odyssey() as client:
        await client.connect()
        await client.start_stream("A cat on a windowsill")
        assert "Pet the cat" in await client.interact("Pet the cat")


@pytest.mark.odyssey_sim(seeds=2)
async def test_library_is_imported_in_the_test(odyssey_sim: World) -> None:
    trio = importlib.import_module("trio")  # it starts a process

    assert trio.__version__
    assert odyssey_sim.now() < 1
