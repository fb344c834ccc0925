"""Tests of the console's timeline in Chromium: entries as they happen, lines that can be copied, and trace files."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from playwright.async_api import Locator, Page, expect

from odyssey_client import Odyssey, OdysseyStreamError, Script
from odyssey_mock import MockOdyssey
from odyssey_mock.cli.app import main
from odyssey_mock.journal_events import event_of
from odyssey_mock.verification.contract_documents import Contract
from tests.contract.browser.console_page import ConsoleTab, look_at, screenshot, violations
from tests.contract.browser.waiting import wait_until
from tests.support import sample_traces

CONTRACT = Contract.load()

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.odyssey(fps=5)]

COPIED_LINES = """async ([events, mock, catalog]) => {
  const { curlOf, faultAt, pytestOf } = await import("console/copied_lines.js");
  return events.map((event) => ({
    curl: curlOf(event, mock), pytest: pytestOf(event), fault: faultAt(event, catalog),
  }));
}"""
COUNT_URLS = """() => {
  const { createObjectURL, revokeObjectURL } = URL;
  globalThis.imageUrls = new Set();
  URL.createObjectURL = (blob) => {
    const url = createObjectURL(blob);
    imageUrls.add(url);
    return url;
  };
  URL.revokeObjectURL = (url) => {
    imageUrls.delete(url);
    revokeObjectURL(url);
  };
}"""
"""Keep the addresses of files in memory that the page has created and not released."""
CLOSE_VIEW_AT_FIRST_URL = """() => {
  const { createObjectURL } = URL;
  imageUrls.created = 0;
  URL.createObjectURL = (blob) => {
    imageUrls.created += 1;
    if (imageUrls.created === 1) document.querySelector(".nav a").click();
    return createObjectURL(blob);
  };
}"""
"""Follow the first link of the navigation, the overview, when the page creates the address of a file in memory."""
IN_PIECES = """async ([events, sizes]) => {
  const { createModel, modelOf } = await import("components/trace_model.js");
  const { createShown } = await import("components/shown_events.js");
  const empty = { manifest: { duration: 0 }, images: new Map(), sources: new Map() };
  const { model, append } = createModel(empty);
  const shown = createShown(model);
  let at = 0;
  for (const size of sizes) {
    append(events.slice(at, at + size));
    shown.extend();
    at += size;
  }
  const plain = ([name, value]) => [name, ArrayBuffer.isView(value) ? [...value] : value];
  const textOf = (one, { current }) => JSON.stringify({
    ...one, ...current, sources: 0, images: 0, manifest: 0, shown: [...current.shown],
    rows: current.rows.map((row) => Object.entries(row).map(plain)),
  });
  const whole = modelOf({ ...empty, events });
  return textOf(model, shown) === textOf(whole, createShown(whole)) ? "equal" : "different";
}"""


@asynccontextmanager
async def session(mock: MockOdyssey, prompt: str = "A cat on a windowsill") -> AsyncIterator[Odyssey]:
    """Yield a client with a running stream."""
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        await client.start_stream(prompt)
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visited() -> AsyncIterator[MockOdyssey]:
    """Run a mock whose journal has most kinds of entries: of a session with a refused prompt, of faults, of a job."""
    async with MockOdyssey(fps=5) as mock:
        await whole_visit(mock)
        yield mock


async def whole_visit(mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.regions.list", do="status", status=503, times=1)
    mock.faults.add(at="rest.recordings.list", do="reset", times=1)
    async with session(mock) as client:
        await client.interact('It says "hi", it\'s a café cat')
        with pytest.raises(OdysseyStreamError):
            await client.interact("It jumps [moderated]")
        await client.end_stream()
        await client.list_stream_recordings()
        await client.simulate(script=Script().start("It's a dog").wait(1).end())
        await mock.wait_for("state", "simulation", to="completed")


def events_of(mock: MockOdyssey) -> list[dict[str, Any]]:
    """Return the journal as trace events, as `GET /_mock/events` sends them."""
    began = mock.journal.began_at
    return [event_of(entry).to_json(entry.index, entry.time - began) for entry in mock.journal.entries]


def selected(page: Page) -> Locator:
    return page.locator("[role=option][aria-selected=true]")


async def test_entries_appear_and_can_be_filtered(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page, session(mock) as client:
        mock.journal.record("note", "greeting", text="windowsill", session="another session")
        await page.get_by_label("Session").select_option("another session")
        await expect(page.locator(".event-name")).to_have_text(["greeting"])
        session_id = next(entry.session for entry in mock.journal.find("channel") if entry.session)
        await page.get_by_label("Session").select_option(session_id)
        await page.get_by_label("Filter by text").fill("prompt windowsill")
        shown = page.locator(".event-name")
        await expect(shown.first).to_have_text("interactive_stream_start A cat on a windowsill")
        await client.interact("It looks at the windowsill")
        await expect(shown.nth(2)).to_contain_text("update It looks at the windowsill")
        assert await page.locator("[role=option] .event-lane").first.inner_text() == "Channel"
        await page.get_by_role("button", name="All lanes").click()
        await page.get_by_label("Channel").uncheck()
        await page.keyboard.press("Escape")
        await expect(page.locator("[data-panel=events] .empty")).to_have_text("No event passes the filter.")


async def test_characters_that_reverse_text_are_escaped(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page:
        mock.journal.record("note", "greeting", text="\u202eabc\u2066 \U0001f469\u200d\U0001f680")
        await page.locator("[role=option]").click()
        shown = await page.get_by_role("region", name="Data").inner_text()

    assert '"text": "\\u202eabc\\u2066 \U0001f469\u200d\U0001f680"' in shown


async def test_low_windows_scroll_to_the_list(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline", viewport={"width": 640, "height": 400}) as page:
        mock.journal.record("note", "greeting")
        entry = page.locator("[role=option]")
        await entry.scroll_into_view_if_needed()
        await expect(entry).to_be_in_viewport(ratio=1)


async def test_list_follows_until_the_user_scrolls(console: ConsoleTab, mock: MockOdyssey) -> None:
    def write(count: int) -> None:
        for number in range(count):
            mock.journal.record("note", f"note {number}")

    async with console.opened(mock.url, "timeline") as page:
        follow = page.get_by_role("button", name="Follow")
        latest = page.locator("[role=option]").last
        write(100)
        await expect(latest).to_have_attribute("aria-posinset", "100")
        await expect(latest).to_be_in_viewport()
        await page.locator(".event-list").hover()
        await page.mouse.wheel(0, -300)
        await expect(follow).to_have_attribute("aria-pressed", "false")
        write(100)
        await expect(page.locator(".view-lead")).to_have_text("200 entries of the journal")
        await expect(latest).not_to_have_attribute("aria-posinset", "200")
        await page.keyboard.press("l")
        await expect(latest).to_have_attribute("aria-posinset", "200")
        await expect(follow).to_have_attribute("aria-pressed", "true")
        await page.keyboard.press("k")
        await expect(selected(page)).to_have_attribute("aria-posinset", "200")
        await expect(follow).to_have_attribute("aria-pressed", "false")


async def test_copied_pytest_line_passes_for_every_entry(console: ConsoleTab, visited: MockOdyssey) -> None:
    events = events_of(visited)
    async with console.opened(visited.url, "timeline") as page:
        lines = [each["pytest"] for each in await page.evaluate(COPIED_LINES, [events, {}, None])]

    assert {entry.kind for entry in visited.journal.entries} >= {"rest", "signaling", "channel", "state", "fault"}
    assert 'mock.expect("POST /sessions/token", status=200)' in lines
    assert 'mock.expect("session", kind="state", to="connected", **{"from": "connecting"})' in lines
    for entry, line in zip(visited.journal.entries, lines, strict=True):
        found = eval(line, {"mock": visited})
        assert (found.kind, found.name) == (entry.kind, entry.name), f"expected {line} to find {entry}, got {found}"


async def test_copied_curl_line_repeats_every_request(console: ConsoleTab, visited: MockOdyssey) -> None:
    requests = [event for event in events_of(visited) if event["lane"] == "http"]
    given = {"serviceUrl": visited.url, "apiKey": visited.api_key}
    async with console.opened(visited.url, "timeline") as page:
        lines = [each["curl"] for each in await page.evaluate(COPIED_LINES, [requests, given, None])]

    repeated = {event["name"]: (event, line) for event, line in zip(requests, lines, strict=True)}
    began = visited.journal.next_index
    assert {name for name, (_, line) in repeated.items() if line is None} == set()
    for name, (event, line) in repeated.items():
        since = visited.journal.next_index
        ran = await asyncio.create_subprocess_shell(f"{line} -s", stdout=asyncio.subprocess.DEVNULL)
        assert await ran.wait() == 0, f"expected the exit code 0 of {line}"
        again = event_of(visited.expect(name, kind="rest", since=since)).data
        for part in ("url", "query", "request"):
            assert again[part] == event["data"][part], f"expected the same {part} of {line}"
        status = again["status"]
        assert status not in {401, 422}, f"expected an accepted request, got status {status} of {line}"
    # Other tests need a journal that stands still.
    await visited.wait_for("state", "simulation", 60, to="completed", since=began)


async def test_keyboard_reaches_an_entry_and_its_copies(console: ConsoleTab, visited: MockOdyssey) -> None:
    async with console.opened(visited.url) as page:
        for key in ("g", "t"):
            await page.keyboard.press(key)
        await expect(page.locator("[role=option]").first).to_be_visible()
        await page.keyboard.press("/")
        await page.keyboard.type("sessions/token session_token")
        await expect(page.locator(".event-name").first).to_have_text("POST /sessions/token 200")
        for key in ("Escape", "j", "2"):
            await page.keyboard.press(key)
        await expect(page.get_by_role("region", name="Event", exact=True)).to_be_focused()
        for key in ("Tab", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator(".toast")).to_have_text("The request copied")
        curl = await page.evaluate("navigator.clipboard.readText()")
        for key in ("Tab", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator(".toast")).to_have_text("The assertion copied")
        assert await page.evaluate("navigator.clipboard.readText()") == (
            'mock.expect("POST /sessions/token", status=200)'
        )
        assert curl.startswith(f"curl '{visited.url}/sessions/token' -H \"Authorization: Bearer $(curl")
        for key in ("Tab", "Tab", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator("h1")).to_have_text("Faults")


async def test_saved_trace_is_valid_and_can_be_opened(
    console: ConsoleTab, visited: MockOdyssey, tmp_path: Path
) -> None:
    events = events_of(visited)
    file = tmp_path / "mock.odytrace"
    async with console.opened(visited.url, "timeline") as page:
        await expect(page.locator(".view-lead")).to_have_text(f"{len(events)} entries of the journal")
        async with page.expect_download() as download:
            await page.keyboard.press("s")
        await (await download.value).save_as(file)
        await page.set_input_files("input[type=file]", file)
        await expect(page.locator("h1")).to_have_text(f"Odyssey mock at {visited.url}")
        await expect(page.locator("[role=option]").first).to_have_attribute("aria-setsize", str(len(events)))
        await page.get_by_role("button", name="Back to live").click()
        await expect(page.locator("h1")).to_have_text("Timeline")

    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        saved = [json.loads(line) for line in archive.read("events.jsonl").splitlines()]
    assert list(CONTRACT.violations("trace-manifest", "", manifest)) == []
    assert [fault for event in saved for fault in CONTRACT.violations("trace-event", "", event)] == []
    assert saved == events
    printed = CliRunner().invoke(main, ["trace", "print", str(file)])
    assert printed.exit_code == 0, printed.output
    for text in (f"Odyssey mock at {visited.url}", "interactive_stream_start", "POST /sessions/token"):
        assert text in printed.output


async def test_foreign_file_and_failed_trace_are_shown(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page:
        for name, content in (("cat.png", b"no trace"), ("test.odytrace", sample_traces.failed_assertion())):
            payload: Any = {"name": name, "mimeType": "", "buffer": content}
            await page.set_input_files("input[type=file]", payload)
            if name == "cat.png":
                await expect(page.get_by_role("alert")).to_contain_text("cat.png: expected a zip file")
        await expect(page.locator(".failure-text")).to_have_text(sample_traces.MESSAGE)
        await expect(page.get_by_role("alert")).to_have_count(0)
        await page.keyboard.press("e")
        await expect(selected(page)).to_have_count(1)


async def test_events_in_pieces_give_the_same_lanes(console: ConsoleTab, visited: MockOdyssey) -> None:
    with zipfile.ZipFile(io.BytesIO(sample_traces.two_clients())) as archive:
        events = [json.loads(line) for line in archive.read("events.jsonl").splitlines()]
    async with console.opened(visited.url, "timeline") as page:
        for sizes in ([1] * len(events), [10, 0, len(events) - 10], [len(events)]):
            assert await page.evaluate(IN_PIECES, [events, sizes]) == "equal", f"in pieces of {sizes}"


async def test_film_strip_shows_the_frames_of_streams(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page:
        async with session(mock) as client:
            stream_id = next(iter(mock.streams))
            await client.interact("It jumps")
            first = page.locator(".thumbnail").first
            await expect(first).to_have_js_property("naturalWidth", 88)
            assert (await first.get_attribute("src") or "").endswith(f"{stream_id}/frames/0.jpg")
            await client.end_stream()
        await page.get_by_label("Filter by text").fill("update_acknowledged")
        await expect(page.locator(".event-name")).to_have_count(1)
        await page.locator("[role=option]").click()
        await expect(page.locator(".moment-frames img")).to_have_js_property("naturalWidth", 88)


@pytest.mark.odyssey(host="0.0.0.0", fps=5)  # so that the control API needs its token
async def test_frames_are_shown_with_a_control_token(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with session(mock) as client:
        await client.interact("It jumps")
        await client.end_stream()
    async with console.opened(mock.url, f"?token={mock.control_token}") as page:
        await page.evaluate(COUNT_URLS)
        await page.locator(".nav").get_by_role("link", name="Timeline").click()
        thumbnail = page.locator(".thumbnail").first
        await expect(thumbnail).to_have_js_property("naturalWidth", 88)
        shown = await thumbnail.get_attribute("src") or ""
        await thumbnail.click()
        await expect(page.locator(".moment-frames img")).to_have_js_property("naturalWidth", 88)
        await page.locator(".nav").get_by_role("link", name="Overview").click()
        await wait_until(page, "() => imageUrls.size === 0")

    assert shown.startswith("blob:")


@pytest.mark.odyssey(host="0.0.0.0", fps=5)  # so that the control API needs its token
async def test_frame_that_arrives_late_is_released(console: ConsoleTab, mock: MockOdyssey) -> None:
    """The view is closed at the moment at which its first frame arrives, before the frame is drawn."""
    async with session(mock) as client:
        await client.end_stream()
    async with console.opened(mock.url, f"?token={mock.control_token}") as page:
        await page.evaluate(COUNT_URLS)
        await page.evaluate(CLOSE_VIEW_AT_FIRST_URL)
        await page.locator(".nav").get_by_role("link", name="Timeline").click()
        await wait_until(page, "() => imageUrls.created > 0")
        await wait_until(page, "() => imageUrls.size === 0")


async def test_frames_that_cannot_be_loaded_are_invisible(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with session(mock) as client:
        await client.end_stream()
    async with console.opened(mock.url, "timeline", expected=("net::ERR_FAILED",)) as page:
        await page.route("**/frames/*.jpg", lambda route: route.abort())
        await page.reload()
        thumbnail = page.locator(".thumbnail").first
        await expect(thumbnail).to_have_css("opacity", "0")
        await page.unroute("**/frames/*.jpg")
        await page.reload()
        await expect(thumbnail).to_have_css("opacity", "1")


async def test_reset_empties_the_timeline(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page:
        mock.journal.record("note", "before")
        await expect(page.locator("[role=option]")).to_have_count(1)
        await mock.reset()
        await expect(page.locator("[data-panel=events] .empty-title")).to_have_text("No entries yet")
        mock.journal.record("note", "after")
        await expect(page.locator("[role=option] .event-name")).to_have_text("after")


async def test_timeline_looks_right(console: ConsoleTab, visited: MockOdyssey) -> None:
    async with console.opened(visited.url, "timeline") as page:
        await expect(page.locator("[role=option]").last).to_be_in_viewport()
        await page.keyboard.press("e")
        await expect(selected(page)).to_have_count(1)
        problems = await look_at(page, "timeline")
        await page.keyboard.press("2")
        await screenshot(page, "timeline-entry")
        problems += await violations(page)
        await page.keyboard.press("?")
        await page.wait_for_selector("dialog[open]")
        problems += await violations(page)

    assert problems == []


async def test_empty_timeline_says_what_to_do(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page:
        await expect(page.locator("[data-panel=events] .empty-title")).to_be_visible()
        assert await look_at(page, "timeline-empty") == []
        await page.get_by_role("link", name="How to connect").click()
        await expect(page.locator("h1")).to_have_text("Overview")
