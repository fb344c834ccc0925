"""Tests of the console's view Sessions, in Chromium, with sessions of the vendor's JavaScript client in another tab."""

import pytest
from playwright.async_api import Page, expect

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.contract.browser.console_page import ConsoleTab, layout_shift, look_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEADY = 0.01
"""The largest layout shift of a page that stands still. 0.1 is what web.dev calls good."""
PLACES = """async () => {
  const { createPlaces } = await import("console/whep_player.js");
  const places = createPlaces(2);
  const log = [];
  const ends = ["a", "b", "c", "d"].map((name) => places.take((has) => log.push(`${name} ${has}`)));
  ends[3]();
  ends[0]();
  ends[0]();
  ends[1]();
  return log;
}"""


async def playing(page: Page) -> None:
    """Wait until the video of the first card has shown two frames."""
    await page.wait_for_function(
        "() => document.querySelector('.session video')?.getVideoPlaybackQuality().totalVideoFrames > 1"
    )


async def test_few_videos_play_at_once(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "sessions") as page:
        log = await page.evaluate(PLACES)

    assert log == ["a true", "b true", "a false", "c true", "b false"]


async def test_sessions_and_overview_look_right(console: ConsoleTab, mock: MockOdyssey) -> None:
    problems: list[str] = []
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        await client.start_stream("A lighthouse in a storm", portrait=False)
        async with console.opened(mock.url, "sessions") as page:
            await playing(page)
            moved = await layout_shift(page)
            await page.get_by_role("button", name="Close socket…").click()
            problems += await look_at(page, "sessions")
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("button", name="Close socket…")).to_be_focused()
            await page.keyboard.press("g")
            await page.keyboard.press("o")
            await expect(page.locator(".latest li").first).to_be_visible()
            problems += await look_at(page, "overview")

    assert problems == []
    assert moved < STEADY, f"expected that the page stands still while it is loaded, got a layout shift of {moved}"
