"""Fixtures for the vendor's JavaScript client: one browser for all tests, and a page for each test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, expect

from odyssey_mock import MockOdyssey
from odyssey_mock.testing.marked_settings import marked_settings
from odyssey_mock.verification.conformance import Conformance
from tests.contract.browser import chromium, firefox
from tests.contract.browser.console_page import ConsoleTab
from tests.contract.browser.official_client import OfficialClient
from tests.support.requirements import require


@pytest.fixture(scope="session")
def needs() -> None:
    """Require Chromium and the npm packages."""
    require(chromium.missing())


@pytest.fixture(scope="session")
def needs_firefox() -> None:
    """Require Firefox and the npm packages."""
    require(firefox.missing())


@pytest.fixture(scope="session")
def conformance() -> Conformance:
    return Conformance()


@pytest.fixture(scope="session")
def page_url() -> Iterator[str]:
    with chromium.served_page() as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(needs: None) -> AsyncIterator[Browser]:
    expect.set_options(timeout=60_000)  # the default timeout of a page does not apply to it
    async with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def pages(browser: Browser) -> chromium.Pages:
    return chromium.Pages(browser)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def console(browser: Browser) -> AsyncIterator[ConsoleTab]:
    """Open one tab for all tests of the console. The console may use the clipboard and the camera."""
    permissions = ["clipboard-read", "clipboard-write", "camera"]
    async with await browser.new_context(permissions=permissions) as context:
        page = await context.new_page()
        page.set_default_timeout(60_000)
        yield ConsoleTab(page)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running_firefox(needs_firefox: None) -> AsyncIterator[firefox.Firefox]:
    """Run Firefox until the end of the module: even without a page, it would use a processor for 1 s in a minute."""
    async with firefox.launched() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def mock(conformance: Conformance, request: pytest.FixtureRequest) -> AsyncIterator[MockOdyssey]:
    """Run a mock in the event loop of all browser tests.

    After the test, assert that every fault of the test has fired, and that the traffic matches the contract.
    """
    async with MockOdyssey(**marked_settings(request.node)) as mock:
        yield mock
    for active in mock.faults:
        assert active.fired, f"expected every fault to fire at least once, got a fault that never fired: {active}"
        mock.expect(active.fault.at, kind="fault", id=active.id, do=active.fault.do, count=active.fired)
    if mock.journal.find("fault"):
        check_client(conformance, mock)
    else:
        conformance.check_journal(mock.journal.entries)


def check_client(conformance: Conformance, mock: MockOdyssey) -> None:
    """Assert that the client's traffic matches the contract. Do not check the mock's traffic, which faults change."""
    found = [deviation for entry in mock.journal.entries for deviation in conformance.check(entry)]
    assert [str(deviation) for deviation in found if deviation.side == "client"] == []


@pytest_asyncio.fixture(loop_scope="session")
async def official(
    pages: chromium.Pages, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """Open a new page, and yield the official client in it. The client connects to the mock."""
    async with page_of_ours(pages, page_url, mock, request) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def spectator(
    pages: chromium.Pages, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """Open another page, and yield a second official client in it. Tests use this client as a spectator."""
    async with page_of_ours(pages, page_url, mock, request) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def in_firefox(
    running_firefox: firefox.Firefox, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """Open a page in Firefox, and yield the official client in it. The client connects to the mock."""
    async with page_in_firefox(running_firefox, page_url, mock, request) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def spectator_in_firefox(
    running_firefox: firefox.Firefox, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """Open another page in Firefox, and yield a second official client in it."""
    async with page_in_firefox(running_firefox, page_url, mock, request) as client:
        yield client


@asynccontextmanager
async def page_of_ours(
    pages: chromium.Pages, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """Open a page in Chromium and yield its official client. Then assert that the page had no uncaught errors."""
    console: list[str] = []

    def log(message: ConsoleMessage) -> None:
        console.append(f"{message.type}: {message.text}")

    async with pages.opened(page_url, api_url=mock.url) as page:
        client = OfficialClient(page)
        page.on("console", log)
        page.on("pageerror", client.note_uncaught)
        yield client
    page.remove_listener("console", log)
    page.remove_listener("pageerror", client.note_uncaught)
    check_page(client, console, request)


@asynccontextmanager
async def page_in_firefox(
    running_firefox: firefox.Firefox, page_url: str, mock: MockOdyssey, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    """Open a page in Firefox and yield its official client. Then assert that the page had no uncaught errors."""
    async with running_firefox.opened(page_url, api_url=mock.url) as page:
        client = OfficialClient(page)
        page.on_uncaught = client.note_uncaught
        yield client
    check_page(client, page.console, request)


def check_page(client: OfficialClient, console: list[str], request: pytest.FixtureRequest) -> None:
    """Assert that the page had no uncaught errors. The report of a failed test contains the page's console output."""
    uncaught = client.all_uncaught()
    request.node.add_report_section("teardown", "browser console", "\n".join(console + uncaught))
    assert not uncaught, f"expected no uncaught errors in the page, got {uncaught}"
