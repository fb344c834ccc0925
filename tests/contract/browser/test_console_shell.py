"""Tests of the console's shell and of its view Overview, in Chromium: navigation, keys, connection, token."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import expect

from odyssey_mock import MockOdyssey
from tests.contract.browser.console_page import ConsoleTab, copied, look_at, violations

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIEWS = {
    "s": "Sessions",
    "t": "Timeline",
    "f": "Faults",
    "c": "Clock",
    "m": "Simulations",
    "y": "Try it",
    "a": "Accounts",
    "o": "Overview",
}
"""The views by the key that is pressed after `g`."""
CODED = ["Authorization: Bearer", "token", "odyssey-mock serve --host 0.0.0.0"]
"""What is between backticks in the error of a wrong control token."""
LOST = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
"""What Chromium writes when the mock goes away."""
PARSE = """async ({ text, sizes }) => {
  const { createParser } = await import("console/event_stream.js");
  return sizes.map((size) => {
    const events = [];
    const parser = createParser((event) => events.push(event));
    for (let at = 0; at < text.length; at += size) parser.feed(text.slice(at, at + size));
    return events;
  });
}"""
MODEL = """async (scenarios) => {
  const { createLiveModel } = await import("console/live_model.js");
  const run = async (streams) => {
    const requested = [];
    const text = ([event, data]) => `id: ${data.i ?? ""}\\nevent: ${event}\\ndata: ${JSON.stringify(data)}\\n\\n`;
    const api = {
      get: async () => ({ settings: {} }),
      onSuccess: () => () => {},
      request: (method, path) => {
        requested.push(path);
        const events = streams[requested.length - 1];
        return events ? Promise.resolve(new Response(events.map(text).join(""))) : new Promise(() => {});
      },
    };
    let last;
    const model = createLiveModel({ api, onChange: (snapshot) => { last = snapshot; } });
    while (requested.length <= streams.length) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame); // the frame of the last snapshot
    model.close();
    const { events, dropped, statistics } = last;
    return { requested, events: events.map(({ i }) => i), dropped, statistics: [...statistics.keys()] };
  };
  const names = Object.keys(scenarios);
  const results = await Promise.all(names.map((name) => run(scenarios[name])));
  return Object.fromEntries(names.map((name, place) => [name, results[place]]));
}"""
"""Create a model for each list of streams, each of which is lost at its end. Return what the model has then."""
PAUSE = """async () => {
  const { readEvents } = await import("console/event_stream.js");
  const log = [];
  let opened;
  const next = () => new Promise((resolve) => { opened = resolve; });
  const open = async (signal) => {
    log.push("open");
    opened();
    return new Response(new ReadableStream({ start(sender) {
      signal.addEventListener("abort", () => sender.error(new Error("aborted")));
    } }));
  };
  let waiting = next();
  const stream = readEvents({ open, onEvent() {}, onConnection: (state) => log.push(state) });
  await waiting;
  await new Promise((done) => setTimeout(done));
  stream.pause();
  log.push("paused");
  await new Promise((done) => setTimeout(done));
  stream.retry();
  await new Promise((done) => setTimeout(done));
  log.push("resumed");
  waiting = next();
  stream.resume();
  await waiting;
  await new Promise((done) => setTimeout(done));
  stream.close();
  return log;
}"""
"""Pause a stream, as a tab does that is not shown, and resume it."""
STREAM = (
    'event: hello\ndata: {"next":2}\n\n'
    ": a comment\n\n"
    "id: 0\nevent: entry\ndata: first\ndata:second\n\n"
    "id: 1\r\nevent: entry\r\ndata: ä\r\n\r\n"
    "event: state\n\n"
    "data: of no kind\n\n"
    "event: entry\ndata: cut"
)


async def test_event_stream_in_any_pieces_is_parsed(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        parsed = await page.evaluate(PARSE, {"text": STREAM, "sizes": list(range(1, len(STREAM) + 1))})

    expected = [
        {"event": "hello", "data": '{"next":2}', "id": None},
        {"event": "entry", "data": "first\nsecond", "id": "0"},
        {"event": "entry", "data": "ä", "id": "1"},
        {"event": "message", "data": "of no kind", "id": "1"},
    ]
    assert [events for events in parsed if events != expected] == []


def hello(began_at: int = 1, next_index: int = 9) -> list[object]:
    return ["hello", {"began_at": began_at, "next": next_index}]


def entries(*indices: int) -> list[list[object]]:
    return [["entry", {"i": index}] for index in indices]


async def test_model_has_every_entry_once(console: ConsoleTab, mock: MockOdyssey) -> None:
    state: list[object] = ["state", {"sessions": [{"session_id": "a"}]}]
    scenarios = {
        "continued": [[hello(), *entries(0, 1)], [hello(), *entries(2)], [hello(), state]],
        "gap": [[hello(), ["gap", {"from": 0, "to": 5}], *entries(5, 6), state]],
        "reset": [[hello(), *entries(0, 1), ["reset", {"next": 2}], *entries(2), state]],
        "restarted": [[hello(), *entries(0, 1, 2)], [hello(2), *entries(3)], [hello(2), *entries(0, 1), state]],
        "statistics": [[hello(), ["statistics", {"a": {}, "gone": {}}], state]],
    }
    async with console.opened(mock.url) as page:
        found = await page.evaluate(MODEL, scenarios)

    def since(*indices: int) -> list[str]:
        return [f"events?since={index}" for index in indices]

    nothing: dict[str, list[object]] = {"statistics": []}
    assert found == {
        "continued": {"requested": since(0, 2, 3, 3), "events": [0, 1, 2], "dropped": 0, **nothing},
        "gap": {"requested": since(0, 7), "events": [5, 6], "dropped": 5, **nothing},
        "reset": {"requested": since(0, 3), "events": [2], "dropped": 0, **nothing},
        "restarted": {"requested": since(0, 3, 0, 2), "events": [0, 1], "dropped": 0, **nothing},
        "statistics": {"requested": since(0, 0), "events": [], "dropped": 0, "statistics": ["a"]},
    }


async def test_paused_stream_is_no_lost_connection(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        log = await page.evaluate(PAUSE)

    assert log == ["connecting", "open", "open", "paused", "resumed", "open", "open"]


async def test_copied_lines_connect_a_client(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        await expect(page.get_by_text("No client has connected yet")).to_be_visible()
        await expect(page.locator(".address")).to_contain_text(mock.api_key)
        address = await copied(page, "The address")
        key = await copied(page, "The API key")
        lines = {}
        for tab in ("JavaScript", "Python", "curl", ".env"):
            await page.get_by_role("tab", name=tab, exact=True).click()
            lines[tab] = await copied(page, f"The lines for {tab}")
        assert (address, key) == (mock.url, mock.api_key)
        assert lines[".env"] == f"ODYSSEY_API_URL={mock.url}\nODYSSEY_API_KEY={mock.api_key}"
        assert f"window.__ODYSSEY_API_URL__ = {json.dumps(mock.url)};" in lines["JavaScript"]

        curl = await asyncio.create_subprocess_shell(
            lines["curl"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        output, _ = await curl.communicate()
        assert json.loads(output)["token_type"] == "bearer", f"expected a token, got {output!r}"
        await asyncio.to_thread(exec, lines["Python"], {})
        await expect(page.get_by_role("heading", name="Latest events")).to_be_visible()
        await expect(page.get_by_text("No session is open now. 1 stream has been shown.")).to_be_visible()
    assert [stream.prompt for stream in mock.streams.values()] == ["A cat on a windowsill"]


async def test_keys_show_views(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()
        for key, name in VIEWS.items():
            await page.keyboard.press("g")
            await page.keyboard.press(key)
            await expect(page).to_have_title(f"{name} - Odyssey mock")
            await expect(page.locator(".nav [aria-current]")).to_contain_text(name)
            await expect(page.locator("#view-title")).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Light or dark")
        found = await violations(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press("t")
        dark = await page.evaluate("document.documentElement.dataset.theme")

    assert dark == "dark"
    assert found == []


async def test_focus_stays_near_controls_that_vanish(console: ConsoleTab, mock: MockOdyssey) -> None:
    for reason in ("model_error", "lease_denied"):
        mock.faults.add({"at": "stream.start", "do": "error", "reason": reason})
    async with console.opened(mock.url, "faults") as page:

        async def press(name: str) -> None:
            await page.get_by_role("button", name=name).focus()
            await page.keyboard.press("Enter")

        await press("Remove fault-1")
        await expect(page.get_by_role("button", name="Remove fault-2")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Faults", exact=True)).to_be_focused()
        await page.goto(f"{mock.url}/_mock/console/#/clock")
        await press("Pause")
        await expect(page.get_by_role("button", name="Resume")).to_be_focused()
        await press("Step by 1 s")
        await expect(page.get_by_role("status")).to_have_text("Advanced by 1.0 s")
        await expect(page.get_by_role("button", name="Step by 1 s")).to_be_focused()
        await page.goto(f"{mock.url}/_mock/console/#/accounts")
        setting = page.locator("[data-setting=fps]")
        await setting.get_by_role("textbox").fill("30")
        await setting.get_by_role("button", name="Save").focus()
        await page.keyboard.press("Enter")
        await expect(setting.get_by_role("textbox")).to_be_focused()


async def test_page_continues_with_a_mock_that_was_restarted(console: ConsoleTab) -> None:
    async with AsyncExitStack() as running:
        first = await running.enter_async_context(MockOdyssey())
        first.journal.record("note", "of the first")
        async with console.opened(first.url, expected=LOST) as page:
            await expect(page.locator(".latest")).to_contain_text("of the first")
            await running.aclose()
            await expect(page.get_by_role("alert")).to_contain_text("The connection to the mock is lost")
            second = await running.enter_async_context(MockOdyssey(port=int(first.url.rpartition(":")[2])))
            second.journal.record("note", "of the second")
            await expect(page.locator(".latest")).to_contain_text("of the second")
            await expect(page.locator(".latest")).not_to_contain_text("of the first")
            await expect(page.locator(".connection")).to_have_text("Live")
            await expect(page.locator(".address")).to_contain_text(second.api_key)


async def test_token_of_the_link_is_kept_and_hidden(console: ConsoleTab) -> None:
    async with MockOdyssey(host="0.0.0.0") as mock:
        token = mock.control_token
        async with console.opened(mock.url, expected=("status of 401", "status of 403")) as page:
            await expect(page.get_by_role("heading")).to_have_text("This mock needs its control token")
            found = await violations(page)
            await page.get_by_label("Control token").fill("wrong")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert").locator("code")).to_have_text(CODED)
            await page.get_by_label("Control token").fill(token)
            await page.keyboard.press("Enter")
            await expect(page.locator(".connection")).to_have_text("Live")
            await page.evaluate("sessionStorage.clear()")
            await page.goto(f"{mock.url}/_mock/console/#token={token}")
            await page.reload()
            await expect(page.locator(".connection")).to_have_text("Live")
            shown = page.url

    assert shown == f"{mock.url}/_mock/console/#/overview"
    assert found == []


async def test_overview_looks_right_before_a_client_connects(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        await expect(page.locator(".address")).to_contain_text(mock.api_key)
        problems = await look_at(page, "overview-empty")

    assert problems == []
