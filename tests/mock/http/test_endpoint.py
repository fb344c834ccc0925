"""Tests of an endpoint that serves several mocks, one after the other."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.types import ASGIApp

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.http.endpoint import SharedEndpoint
from odyssey_mock.system_network import SystemNetwork
from tests.support.tls_contexts import NO_CERTIFICATES


def unchanged(app: ASGIApp) -> ASGIApp:
    return app


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[SharedEndpoint]:
    async with SharedEndpoint(SystemNetwork(), "127.0.0.1", 0, unchanged) as endpoint:
        yield endpoint


@pytest_asyncio.fixture
async def http(endpoint: SharedEndpoint) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=endpoint.base_url, trust_env=False, verify=NO_CERTIFICATES) as client:
        yield client


async def test_mocks_have_one_address_and_own_state(endpoint: SharedEndpoint, http: httpx.AsyncClient) -> None:
    keys = set()
    for _ in range(3):
        async with MockOdyssey(endpoint=endpoint) as mock:
            assert mock.url == endpoint.base_url
            assert mock.journal.entries == ()
            response = await http.post("/auth/token", json={"api_key": mock.api_key})
            assert response.status_code == 200
            keys.add(mock.api_key)
            assert len(mock.journal.entries) == 1
    assert len(keys) == 3


async def test_live_sessions_work_one_after_the_other(endpoint: SharedEndpoint) -> None:
    for _ in range(2):
        async with MockOdyssey(endpoint=endpoint) as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
            await client.connect()
            assert await client.start_stream("A cat") in mock.streams


async def test_request_without_a_mock_gets_503(endpoint: SharedEndpoint, http: httpx.AsyncClient) -> None:
    async with MockOdyssey(endpoint=endpoint):
        assert (await http.get("/config")).status_code == 200
    response = await http.get("/config")
    assert response.status_code == 503
    assert response.json() == {"detail": "no mock is running at this address"}


async def test_second_mock_at_a_time_is_refused(endpoint: SharedEndpoint) -> None:
    async with MockOdyssey(endpoint=endpoint):
        with pytest.raises(RuntimeError, match="to serve no mock yet, got a running one; close it first"):
            await MockOdyssey(endpoint=endpoint).__aenter__()
    async with MockOdyssey(endpoint=endpoint):
        pass


async def test_outage_ends_with_its_mock(endpoint: SharedEndpoint, http: httpx.AsyncClient) -> None:
    async with MockOdyssey(endpoint=endpoint) as mock:
        await mock.go_away()
        with pytest.raises(httpx.TransportError):
            await http.get("/config")
    async with MockOdyssey(endpoint=endpoint):
        assert (await http.get("/config")).status_code == 200
        await mock.go_away()  # the earlier mock has no effect any more
        await mock.come_back()
        assert (await http.get("/config")).status_code == 200


async def test_idle_connection_serves_the_next_mock(endpoint: SharedEndpoint, http: httpx.AsyncClient) -> None:
    ports = set()
    for _ in range(2):
        async with MockOdyssey(endpoint=endpoint):
            response = await http.get("/config")
            _, port = response.extensions["network_stream"].get_extra_info("client_addr")
            ports.add(port)
    assert len(ports) == 1


async def test_half_sent_request_is_cut_with_its_mock(endpoint: SharedEndpoint, http: httpx.AsyncClient) -> None:
    async with MockOdyssey(endpoint=endpoint):
        assert (await http.get("/config")).status_code == 200
        address = httpx.URL(endpoint.base_url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /config HTTP/1.1\r\nHost: x\r\n\r\nGET /config HTTP/1.1\r\nHost: x\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(10):
        await reader.read()  # until the server has closed the connection
    writer.close()
    async with MockOdyssey(endpoint=endpoint) as mock:
        assert mock.journal.entries == ()


async def test_waiting_request_is_cut_with_its_mock(endpoint: SharedEndpoint, http: httpx.AsyncClient) -> None:
    async with MockOdyssey(endpoint=endpoint) as mock:
        mock.faults.add(at="whep.config", do="no_answer")
        async with httpx.AsyncClient(base_url=endpoint.base_url, trust_env=False, verify=NO_CERTIFICATES) as other:
            request = other.build_request("GET", "/config")
            sending = asyncio.ensure_future(other.send(request))
            await mock.wait_for("fault", "whep.config")
            await mock.__aexit__(None, None, None)
            with pytest.raises(httpx.TransportError):
                await sending
    async with MockOdyssey(endpoint=endpoint):
        assert (await http.get("/config")).status_code == 200
