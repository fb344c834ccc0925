"""Fixtures: HTTP clients for the test's mock, with and without an access token; quick detection of lost peers."""

from collections.abc import AsyncIterator

import aioice.stun
import httpx
import pytest
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


@pytest.fixture
def quick_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make consent checks (RFC 7675) detect a silent peer within two seconds instead of half a minute.

    A shorter time would end the connection of a peer that is only slow, on a machine with other work.
    """
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 1)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.2)
    monkeypatch.setattr(aioice.stun, "RETRY_MAX", 2)
