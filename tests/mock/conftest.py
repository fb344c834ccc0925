"""Fixtures: HTTP clients for the test's mock, with and without an access token."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from odyssey_mock import MockOdyssey
from tests.support.tls_contexts import NO_CERTIFICATES


@pytest_asyncio.fixture
async def http(odyssey_mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client for the test's mock, without an access token."""
    async with httpx.AsyncClient(base_url=odyssey_mock.url, trust_env=False, verify=NO_CERTIFICATES) as client:
        yield client


@pytest_asyncio.fixture
async def authorized(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> httpx.AsyncClient:
    """Return the client `http`, with an access token for the mock's API key in its headers."""
    answer = await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return http
