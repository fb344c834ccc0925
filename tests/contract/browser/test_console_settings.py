"""Tests of the console's views Clock, and Accounts and settings, in Chromium."""

import asyncio

import pytest
from playwright.async_api import expect

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.contract.browser.console_page import ConsoleTab, look_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

DURATIONS = """async (texts) => {
  const { secondsOfText } = await import("console/clock.js");
  return texts.map(secondsOfText);
}"""


async def test_settings_change_and_errors_are_at_the_field(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "accounts", expected=("status of 422",)) as page:
        await page.get_by_label("Find a setting").fill("fps")
        await expect(page.locator(".setting")).to_have_count(1)
        field = page.get_by_label("fps", exact=True)
        await field.fill("900")
        await field.press("Enter")
        setting = page.locator("[data-setting=fps]")
        await expect(setting.get_by_role("alert")).to_have_text("fps must be a whole number from 1 to 240, got 900")
        await field.fill("30")
        await field.press("Enter")
        await expect(setting.get_by_role("alert")).to_have_count(0)
        await page.get_by_label("Find a setting").fill("")
        await page.get_by_label("hls", exact=True).press("Space")
        await page.get_by_label("latency", exact=True).select_option("realistic")
        streams = page.get_by_label("concurrent_sessions", exact=True)
        await streams.fill("none")
        await streams.press("Enter")
        await page.get_by_label("Changed").check()
        await expect(page.locator(".setting-name")).to_have_text(["latency", "fps", "hls", "concurrent_sessions"])
        now = mock.settings
        await setting.get_by_role("button", name="Back to the default").click()
        await expect(page.locator(".setting-name")).to_have_text(["latency", "hls", "concurrent_sessions"])

    assert (now.fps, now.hls, now.latency, now.limits.concurrent_sessions) == (30, False, "realistic", None)
    assert mock.settings.fps == 20


async def test_accounts_show_keys_usage_and_limits(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with (
        Odyssey(mock.api_key, api_url=mock.url) as own,
        Odyssey("ody_brought_by_a_client", api_url=mock.url) as other,
        console.opened(mock.url, "accounts") as page,
    ):
        await own.connect()
        await expect(page.locator(".account")).to_have_count(1)
        await expect(page.locator(".account-key")).to_have_text(mock.api_key)
        await expect(page.get_by_text("The mock's own")).to_be_visible()
        await expect(page.locator(".meter dd").first).to_contain_text("1 of 5")
        await other.connect()
        await expect(page.locator(".account")).to_have_count(2)
        shown = await page.locator(".account-list").inner_text()
        problems = await look_at(page, "accounts")

    assert "brought_by_a_client" not in shown
    assert problems == []


async def test_clock_is_controlled(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client, console.opened(mock.url, "clock") as page:
        await client.connect()
        await client.start_stream("A cat")
        await page.get_by_role("button", name="Pause").press("Enter")
        await expect(page.locator(".clock-face .badge")).to_have_text("paused")
        paused_at = mock.clock.time()
        await page.get_by_role("button", name="Step by 10 s").click()
        await expect(page.get_by_role("status")).to_have_text("Advanced by 10.0 s")
        stepped = mock.clock.time() - paused_at
        await page.get_by_label("Advance by").fill("soon")
        await page.get_by_label("Advance by").press("Enter")
        await expect(page.get_by_text('Expected a duration such as 90, 1m 30s or 2h, got "soon".')).to_be_visible()
        await page.get_by_label("Advance by").fill("1m 30s")
        await page.get_by_label("Advance by").press("Enter")
        await expect(page.get_by_role("status")).to_have_text("Advanced by 1:30.0")
        problems = await look_at(page, "clock")
        await page.get_by_role("button", name="Resume").click()
        await page.get_by_role("button", name="Speed 0.5").click()
        await expect(page.locator(".clock-face .badge")).to_have_text("0.5\u00d7 real time")
        await page.get_by_role("row", name="stream duration").get_by_role("button").click()
        await expect(page.get_by_text("Nothing is pending.")).to_be_visible()

    assert stepped == pytest.approx(10)
    assert problems == []
    mock.expect("stream duration", kind="deadline")


@pytest.mark.odyssey(clock="manual")
async def test_manual_clock_is_advanced(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client, console.opened(mock.url, "clock") as page:
        await client.connect()
        await expect(page.get_by_role("button", name="Pause")).to_be_disabled()
        await page.get_by_role("button", name="Next deadline").click()
        await expect(page.get_by_role("status")).to_have_text("Advanced to the next deadline")

    mock.expect("inactivity", kind="deadline")


async def test_long_durations_are_read_at_once(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "clock") as page:
        async with asyncio.timeout(5):
            found = await page.evaluate(DURATIONS, ["1" * 40 + "x", "1 " * 40 + "x", "1m" * 1000, "1" * 300 + "s s"])

    assert found == [None, None, 60_000, None]


async def test_durations_are_read(console: ConsoleTab, mock: MockOdyssey) -> None:
    texts = ["90", " 1m 30s", "1h30m", "250 ms", "0.5", "2 min", "", "soon", "-1", "1 week", "1e3"]
    async with console.opened(mock.url, "clock") as page:
        found = await page.evaluate(DURATIONS, texts)

    assert found == [90, 90, 5400, 0.25, 0.5, 120, None, None, None, None, None]


async def test_remaining_time_has_hours(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "clock") as page:
        shown = await page.evaluate(
            """async (all) => {
              const { longDuration } = await import("components/time_format.js");
              return all.map(longDuration);
            }""",
            [-1, 59.9, 60, 725, 7265],
        )

    assert shown == ["0 s", "59 s", "1:00 min", "12:05 min", "2:01:05 h"]
