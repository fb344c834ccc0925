"""Tests of the console's view Sessions, in Chromium, with sessions of the vendor's JavaScript client in another tab."""

from statistics import median

import pytest
from playwright.async_api import Page, expect

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.contract.browser.console_page import ConsoleTab, layout_shift, look_at
from tests.contract.browser.official_client import OfficialClient
from tests.contract.browser.waiting import wait_until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(portrait_size=(176, 320), landscape_size=(320, 176)),
]

CLOSED = ("status of 404", "status of 409")
"""What Chromium writes about requests for a session that has just ended."""
WITHIN = 0.2
"""Seconds after which the console shows an entry of the journal."""
STEADY = 0.01
"""The largest layout shift of a page that stands still. 0.1 is what web.dev calls good."""
WATCH = """async () => {
  const { createApi } = await import("console/api.js");
  const { createLiveModel } = await import("console/live_model.js");
  const api = createApi({ page: new URL(".", document.baseURI), token: "" });
  window.seen = [];
  let next = 0;
  await new Promise((resolve) => createLiveModel({ api, onChange({ events, state }) {
    if (state) resolve();
    for (const { i, name, data } of events.slice(events.findLastIndex((event) => event.i < next) + 1)) {
      window.seen.push([i, name, Date.now() / 1000 - data.server_time]);
      next = i + 1;
    }
  } }));
}"""
"""Note each entry of the journal with the seconds from its time to the animation frame that has it."""
PLACES = """async () => {
  const { createPlaces } = await import("console/whep_player.js");
  const places = createPlaces(2);
  const log = [];
  const ends = ["a", "b", "c", "d"].map((name) => places.take((has) => log.push(`${name} ${has}`)));
  ends[3]();
  ends[0]();
  ends[0]();
  ends[1]();
  places.take((has) => log.push(`e ${has}`));
  places.take((has) => log.push(`first ${has}`), true);
  places.take((has) => log.push(`second ${has}`), true);
  ends[2]();
  return log;
}"""


async def playing(page: Page) -> None:
    """Wait until the video of the first card has shown two frames."""
    await wait_until(
        page, "() => document.querySelector('.session video')?.getVideoPlaybackQuality().totalVideoFrames > 1"
    )


async def test_session_is_watched_while_it_happens(
    console: ConsoleTab, official: OfficialClient, mock: MockOdyssey
) -> None:
    async with console.opened(mock.url, "sessions", expected=CLOSED) as page:
        await expect(page.get_by_text("No session is open")).to_be_visible()
        await page.evaluate(WATCH)
        session_id = (await official.connect(mock.api_key))["sessionId"]
        await official.start_stream("A cat on a windowsill")
        card = page.get_by_role("article", name=f"Session {session_id[:8]}")
        await expect(card.locator(".badge")).to_have_text("Connected")
        await expect(card.locator(".prompt-now")).to_contain_text("A cat on a windowsill")
        await expect(card.get_by_label("State of the session: connected")).to_be_visible()
        await expect(card.get_by_label("Remaining limits")).to_contain_text("connection duration")
        await playing(page)

        await card.get_by_label("Prompt").fill("A dog joins the cat")
        await card.get_by_role("button", name="Interact").click()
        await expect(card.locator(".prompt-now")).to_contain_text("A dog joins the cat")
        await card.get_by_role("button", name="End stream").click()
        await official.happened("stream_ended")
        await expect(card.get_by_text("No stream is running")).to_be_visible()
        await card.get_by_role("button", name="End session").click()
        await expect(page.get_by_text("No session is open")).to_be_visible()
        await expect(page.get_by_role("region", name="Ended")).to_contain_text(session_id[:8])

        last = mock.journal.next_index - 1
        await wait_until(page, "last => window.seen.at(-1)[0] >= last", last)
        seen: list[tuple[int, str, float]] = await page.evaluate("window.seen")
    assert [index for index, _, _ in seen][: last + 1] == [entry.index for entry in mock.journal.entries][: last + 1]
    late = [each for each in seen if each[2] > WITHIN]
    assert median(seconds for _, _, seconds in seen) < WITHIN, (
        f"expected a median delay below {WITHIN} s; later entries: {late}"
    )


async def test_actions_by_keyboard_and_their_refusals(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        await client.start_stream("A cat")
        async with console.opened(mock.url, "sessions", expected=CLOSED) as page:
            await page.get_by_label("Prompt").focus()
            await page.keyboard.type("It starts to rain <img src=x>")
            await page.keyboard.press("Enter")
            await expect(page.locator(".prompt-now")).to_contain_text("It starts to rain <img src=x>")
            for _ in range(3):  # Interact, End stream, Break…
                await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await expect(page.get_by_label("Reason")).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("No stream is running")).to_be_visible()
            await expect(page.get_by_label("Reason")).to_be_hidden()
            await page.get_by_role("button", name="Break…").press("Enter")
            await expect(page.get_by_label("Reason")).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert")).to_contain_text("expected a running stream, got none")
            await page.get_by_role("button", name="Close socket…").press("Enter")
            await page.get_by_label("Code").fill("4321")
            await page.get_by_label("Reason").fill("for a test")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("status")).to_have_text("The socket is closed")
    broken = mock.expect("interactive_stream_error")
    assert broken.data["message"]["reason"] == "model_error"


async def test_few_videos_play_at_once(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "sessions") as page:
        log = await page.evaluate(PLACES)

    assert log == [
        *("a true", "b true", "a false", "c true", "b false", "e true"),
        *("e false", "first true", "c false", "second true"),
    ]


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
