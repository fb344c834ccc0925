"""Tests that the videos of the mock's pages use the ICE servers that WHEP names, in Chromium with only TURN."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from odyssey_mock import MockOdyssey
from tests.contract.browser.console_page import ConsoleTab, noted
from tests.contract.browser.waiting import wait_until
from tests.support import coturn
from tests.support.free_ports import free_port
from tests.support.requirements import require
from tests.support.whep import live

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESS = "127.0.0.1"
ONLY_RELAYS = """
  const Original = RTCPeerConnection;
  globalThis.RTCPeerConnection = function (configuration = {}) {
    return new Original({ ...configuration, iceTransportPolicy: "relay" });
  };
"""
"""Let all connections of the page go through TURN servers, as where a firewall blocks UDP."""
PLAYING = "() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 1"
PARSED = """async (header) => {
  const { iceServersOf } = await import("components/whep.js");
  return iceServersOf(header);
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def relayed(browser: Browser) -> AsyncIterator[tuple[MockOdyssey, Page]]:
    """Run a mock with a TURN server, and yield the mock and a page whose connections only go through TURN servers."""
    require(coturn.missing())
    port = free_port(ADDRESS)
    servers = [coturn.server_at(ADDRESS, port=port)]
    async with (
        coturn.running(ADDRESS, port=port),
        MockOdyssey(portrait_size=(88, 160), ice_servers=servers) as mock,
        await browser.new_context() as context,
    ):
        page = await context.new_page()
        await page.add_init_script(ONLY_RELAYS)
        yield mock, page


async def test_video_of_console_plays_through_a_relay(relayed: tuple[MockOdyssey, Page]) -> None:
    mock, page = relayed
    async with live(mock), ConsoleTab(page).opened(mock.url, "sessions"):
        await wait_until(page, PLAYING)


async def test_page_of_a_broadcast_plays_through_a_relay(relayed: tuple[MockOdyssey, Page]) -> None:
    mock, page = relayed
    async with live(mock) as broadcast, noted(page) as (requested, messages):
        await page.goto(f"{mock.url}/_mock/watch/#stream={broadcast.stream_id}&token={broadcast.token}")
        await wait_until(page, PLAYING)
    assert [each for each in requested if each.endswith("/config")] == []
    assert messages == []


async def test_ice_servers_are_read_from_links(console: ConsoleTab, mock: MockOdyssey) -> None:
    links = (
        '<https://example.com/a,b>; rel="preload", <stun:host:3478>; rel="ice-server", '
        '<turn:host?transport=tcp>; rel="ice-server"; username="an, <na>; rel=x"; credential="1=2,3;4"; '
        'credential-type="password",<turns:host>;Rel=ice-server;username=anna;credential=secret'
    )
    async with console.opened(mock.url) as page:
        parsed = [await page.evaluate(PARSED, each) for each in (links, "", "no link")]

    assert parsed == [
        [
            {"urls": "stun:host:3478"},
            {"urls": "turn:host?transport=tcp", "username": "an, <na>; rel=x", "credential": "1=2,3;4"},
            {"urls": "turns:host", "username": "anna", "credential": "secret"},
        ],
        [],
        [],
    ]
