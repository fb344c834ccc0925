"""The vendor's JavaScript client in a real browser: one Chromium for all tests, a fresh context and page for each."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from odyssey_mock import MockOdyssey
from odyssey_mock.testing.plugin import marked_settings
from tests.contract.browser import chromium
from tests.contract.browser.official_client import OfficialClient
from tests.support.contract.conformance import Conformance


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
async def mock(conformance: Conformance, request: pytest.FixtureRequest) -> AsyncIterator[MockOdyssey]:
    """As the plugin's `odyssey_mock`, judged by the contract too, but on the loop of the browser's connection."""
    async with MockOdyssey(**marked_settings(request.node)) as mock:
        yield mock
    for active in mock.faults:
        assert active.fired, f"no test passes by a fault that did not fire: {active}"
        mock.expect(active.fault.at, kind="fault", id=active.id, do=active.fault.do, count=active.fired)
    if mock.journal.find("fault"):
        check_client(conformance, mock)
    else:
        conformance.check_journal(mock.journal.entries)


def check_client(conformance: Conformance, mock: MockOdyssey) -> None:
    """Judge the client alone: what a fault makes the server say is off the contract on purpose."""
    found = [deviation for entry in mock.journal.entries for deviation in conformance.check(entry)]
    assert [str(deviation) for deviation in found if deviation.side == "client"] == []


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
    async with chromium.opened(browser, page_url, api_url=mock.url) as page:
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        client = OfficialClient(page)
        yield client
    uncaught = client.all_uncaught()
    request.node.add_report_section("teardown", "browser console", "\n".join(console + uncaught))
    assert not uncaught
