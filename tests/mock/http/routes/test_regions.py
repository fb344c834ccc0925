"""Tests of `GET /regions` and the ping URLs."""

import asyncio

import httpx
import pytest

from odyssey_mock import MockOdyssey, Region
from tests.support.tls_contexts import NO_CERTIFICATES


async def test_ping_urls_work_without_a_token(authorized: httpx.AsyncClient) -> None:
    regions = (await authorized.get("/regions")).json()["regions"]
    assert [region["id"] for region in regions] == ["us-east-1", "us-west-2", "eu-west-1"]
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as any_caller:
        for region in regions:
            answer = await any_caller.get(region["ping_url"])
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["cache-control"] == "no-store"


async def test_ping_urls_use_the_clients_host_name(authorized: httpx.AsyncClient) -> None:
    answer = await authorized.get("/regions", headers={"Host": "mock.example:1234"})
    assert answer.json()["regions"][0]["ping_url"] == "http://mock.example:1234/ping/us-east-1"


async def test_unknown_region_is_404(http: httpx.AsyncClient) -> None:
    assert (await http.get("/ping/nowhere")).status_code == 404


@pytest.mark.odyssey(regions=[Region("near"), Region("far", latency=0.1)], clock="manual")
async def test_ping_latency_ignores_the_servers_clock(http: httpx.AsyncClient) -> None:
    order: list[str] = []

    async def ping(region: str) -> None:
        await http.get(f"/ping/{region}")
        order.append(region)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(ping("far"))
        tasks.create_task(ping("near"))
    assert order == ["near", "far"]


async def test_mock_can_be_closed_during_a_ping(caplog: pytest.LogCaptureFixture) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        async with MockOdyssey(regions=[Region("silent", latency=3600.0)]) as mock:
            ping = asyncio.create_task(http.get(f"{mock.url}/ping/silent", timeout=None))
            # This request uses a second connection, so once it has a response, the ping has been sent on the first one.
            await http.get(f"{mock.url}/ping/nowhere")
        with pytest.raises(httpx.RemoteProtocolError):
            await ping
    (entry,) = mock.journal.find("rest", "GET /ping/{region}", path="/ping/silent")
    assert entry.data["status"] is None
    assert [record.getMessage() for record in caplog.records if record.name.startswith("odyssey_mock")] == []
