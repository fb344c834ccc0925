"""The vendor's JavaScript client in a real browser: one Chromium for all tests, a fresh context and page for each."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from odyssey_mock import MockOdyssey
from tests.contract.browser import chromium
from tests.contract.browser.official_client import OfficialClient
from tests.contract.conformance import Conformance


@pytest.fixture(scope="session")
def needs() -> None:
    """Skip on a contributor's machine what it has not; fail where the whole suite is promised to run."""
    if (missing := chromium.missing()) is None:
        return
    reason = f"{missing}; run scripts/test-needs"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def conformance() -> Conformance:
    return Conformance()


@pytest.fixture(scope="session")
def page_url(needs: None) -> Iterator[str]:
    with chromium.served_page() as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(needs: None) -> AsyncIterator[Browser]:
    async with chromium.launched() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def mock(conformance: Conformance) -> AsyncIterator[MockOdyssey]:
    """As the plugin's `odyssey_mock`, judged by the contract too, but on the loop of the browser's connection."""
    async with MockOdyssey() as mock:
        yield mock
    conformance.check_journal(mock.journal.entries)


@pytest_asyncio.fixture(loop_scope="session")
async def official(
    browser: Browser, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """The official client in a fresh page that takes the mock for the service."""
    async with page_of_ours(browser, page_url, mock, request) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def spectator(
    browser: Browser, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """The same in a page of its own, for somebody else."""
    async with page_of_ours(browser, page_url, mock, request) as client:
        yield client


@asynccontextmanager
async def page_of_ours(
    browser: Browser, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """A page; what it writes on its console is shown where the test fails, and nothing may be thrown there unseen."""
    console: list[str] = []
    uncaught: list[str] = []
    async with chromium.opened(browser, page_url, api_url=mock.url) as page:
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: uncaught.append(str(error)))
        yield OfficialClient(page)
    request.node.add_report_section("teardown", "browser console", "\n".join(console + uncaught))
    assert not uncaught
