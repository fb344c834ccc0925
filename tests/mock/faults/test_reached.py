"""Tests that a server records which fault points were reached, without a fault and with one."""

import httpx
import pytest

from odyssey_client import Odyssey, Script
from odyssey_mock import MockOdyssey
from odyssey_mock.faults.catalog import POINTS
from tests.support.http_points import HTTP_POINTS, ask, token_of
from tests.support.tls_contexts import NO_CERTIFICATES

LIVE = {name for name in POINTS if name.partition(".")[0] in {"signaling", "peer", "stream"}}
JOBS = {name for name in POINTS if name.startswith("job.")}


@pytest.mark.parametrize("point", HTTP_POINTS)
async def test_request_without_fault_is_counted(point: str) -> None:
    async with (
        MockOdyssey(simulation_workers=0) as mock,
        httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        token = await token_of(mock, http)
        before = mock.faults.reached.get(point, 0)
        await ask(mock, http, point, token)
        assert mock.faults.reached[point] == before + 1
        assert mock.faults.reached["server"] == 2


async def test_request_under_fault_is_counted_once() -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        mock.faults.add(at="rest.regions.list", do="status", status=503)
        mock.faults.add(at="server", do="away", seconds=1, after=100)
        await http.get(f"{mock.url}/regions")
        assert mock.faults.reached == {"server": 1, "rest.regions.list": 1}


async def test_control_api_reaches_no_point() -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        await http.get(f"{mock.url}/_mock/state")
        assert mock.faults.reached == {}


async def test_live_session_reaches_every_live_point() -> None:
    async with MockOdyssey(portrait_size=(176, 320)) as mock:
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            await client.connect()
            await client.start_stream("A harbor", broadcast=True)
            await client.interact("Snow falls")
            await client.end_stream()
        assert set(mock.faults.reached) >= LIVE
        assert mock.faults.reached["stream.interact"] == 1


async def test_simulation_reaches_every_job_point() -> None:
    async with MockOdyssey(portrait_size=(176, 320), clock="manual") as mock:
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            await client.simulate(script=Script().start("A harbor").wait(0.5).end())
            await mock.advance(60)
        assert {name: mock.faults.reached[name] for name in JOBS} == dict.fromkeys(JOBS, 1)


async def test_reset_keeps_the_counts() -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        await http.get(f"{mock.url}/regions")
        await mock.reset()
        await http.get(f"{mock.url}/regions")
        assert mock.faults.reached == {"server": 2, "rest.regions.list": 2}
