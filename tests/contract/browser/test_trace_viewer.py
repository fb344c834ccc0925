"""Tests of the page that shows a trace, in Chromium, opened from disk as `odyssey-mock trace show` does."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Page, ViewportSize, expect

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.trace.page import viewer_page
from tests.contract.browser.console_page import AXE, INLINE, NARROW, WIDE, noted, violations
from tests.support import sample_traces
from tests.support.requirements import require

type Open = Callable[..., AbstractAsyncContextManager[Page]]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """Open one page for all tests: a new one takes longer than most tests."""
    async with await browser.new_context() as context:
        page = await context.new_page()
        page.set_default_timeout(60_000)
        yield page


@pytest.fixture
def opened(tab: Page, tmp_path: Path) -> Open:
    """Return a function that opens the page of a trace.

    At the end, it asserts that the page made no request, and wrote nothing to the console.
    """

    @asynccontextmanager
    async def open_page(
        trace: bytes | None, *, viewport: ViewportSize = WIDE, scheme: Any = "light"
    ) -> AsyncIterator[Page]:
        file = tmp_path / "page.html"
        file.write_text(viewer_page(trace), encoding="utf-8")
        await tab.set_viewport_size(viewport)
        await tab.emulate_media(color_scheme=scheme)
        async with noted(tab) as (requested, problems):
            await tab.goto(file.as_uri())
            await tab.wait_for_selector("main:has(button)")
            yield tab
        own = (file.as_uri(), "about:blank")
        assert [url for url in requested if not url.startswith(INLINE) and url not in own] == []
        assert problems == []

    return open_page


def selected(page: Page) -> Any:
    return page.locator("[role=option][aria-selected=true]")


async def choose(page: Page, name: str, content: bytes) -> None:
    """Choose a file in the file dialog of the page."""
    await page.set_input_files("input[type=file]", FilePayload(name=name, mimeType="", buffer=content))


@pytest.mark.parametrize(("scheme", "rules"), [("light", ""), ("dark", "color-contrast")])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "390"])
async def test_page_has_no_accessibility_violations(
    opened: Open, viewport: ViewportSize, scheme: str, rules: str
) -> None:
    require(None if AXE.is_file() else "the npm package axe-core is not installed")
    async with opened(sample_traces.failed_assertion(), viewport=viewport, scheme=scheme) as page:
        await page.keyboard.press("e")
        await expect(selected(page)).to_have_count(1)
        found = await violations(page, rules)
        for tab in ("2", "3") if viewport == NARROW else ():
            await page.keyboard.press(tab)
            found += await violations(page, rules)
        await page.click(".menu button")
        found += await violations(page, rules)
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await page.wait_for_selector("dialog[open]")
        found += await violations(page, rules)
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert found == []
    assert overflow <= 0, f"expected the page to fit into {viewport['width']} pixels, got {overflow} more"


async def test_start_and_error_pages_have_no_violations(opened: Open) -> None:
    require(None if AXE.is_file() else "the npm package axe-core is not installed")
    found: list[str] = []
    for trace in (None, b"no trace"):
        async with opened(trace) as page:
            found += await violations(page)

    assert found == []


async def test_header_shows_what_the_trace_is_about(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        header = await page.locator("header").inner_text()
        title = await page.title()

    for text in (
        sample_traces.TITLE,
        "Failed",
        "3.21 s",
        "75 events",
        "10 frames",
        "13 dropped (Statistics 10, Frames 3)",
    ):
        assert text in header.replace("::\n", "::"), f"expected {text!r} in the header, got:\n{header}"
    for text in (
        "odyssey_client 0.1.0",
        "python 3.13.0",
        "commit b0c4fc1d",
        "pytest tests/test_cats.py",
        sample_traces.MESSAGE,
    ):
        assert text in header, f"expected {text!r} in the header, got:\n{header}"
    assert title == f"{sample_traces.TITLE} - trace"


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "390"])
async def test_failure_is_reached_with_the_keyboard(opened: Open, viewport: ViewportSize) -> None:
    async with opened(sample_traces.failed_assertion(), viewport=viewport) as page:
        for _ in range(4):  # Open, theme, keys, Show failure; at 390 pixels, the button "More" is before the last
            await page.keyboard.press("Tab")
        if viewport == NARROW:
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")

        await expect(page.locator(".failure h2")).to_be_focused()
        await expect(page.locator(".failure-text")).to_be_visible()
        await expect(page.locator(".failure-text")).to_have_text(sample_traces.MESSAGE)
        await expect(page.locator(".code-line.failing")).to_be_in_viewport()
        await expect(page.locator(".code-line.failing .line-number")).to_have_text("20")


async def test_keys_select_errors_and_events(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        found = []
        for key in ("e", "e", "e", "E", "p", "j", "k", "f", "e"):
            await page.keyboard.press(key)
            await expect(selected(page)).to_have_count(1)
            found.append((key, await selected(page).locator(".event-time").inner_text()))

        assert found == [
            ("e", "0.440 s"),  # GET /regions of the client: the first error except of the test itself
            ("e", "0.444 s"),
            ("e", "2.080 s"),
            ("E", "0.444 s"),
            ("p", "0.440 s"),  # the same request on the other side
            ("j", "0.444 s"),
            ("k", "0.440 s"),
            ("f", "0.440 s"),
            ("e", "0.444 s"),
        ]
        announced = await page.locator("[role=status]").inner_text()
        assert announced == "0.444 s, HTTP, GET /regions, error: status 503: the service is overloaded"


async def test_keys_of_panels_move_the_focus(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        await page.keyboard.press("1")
        await expect(page.get_by_role("listbox", name="Events")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("region", name="Event", exact=True)).to_be_focused()
        await page.keyboard.press("3")
        await expect(page.locator(".failure h2")).to_be_focused()


async def test_list_is_moved_with_the_arrow_keys(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        events = page.get_by_role("listbox", name="Events")
        await events.focus()
        for key in ("End", "ArrowUp"):
            await page.keyboard.press(key)
        await expect(selected(page)).to_have_attribute("aria-posinset", "74")
        await expect(events).to_have_attribute("aria-activedescendant", await selected(page).get_attribute("id") or "")
        await page.keyboard.press("Home")
        await expect(selected(page)).to_have_attribute("aria-posinset", "1")
        await expect(selected(page)).to_be_in_viewport()


async def test_message_shows_json_and_its_code(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        await page.get_by_label("Filter by text").fill("update prompt clienttostreamer")
        await expect(page.locator(".filter-count")).to_contain_text("2 of 75")
        await page.get_by_role("option").first.click()
        message = page.get_by_role("region", name="Event", exact=True)

        assert json.loads(await message.locator("pre").inner_text()) == {"type": "update", "prompt": "jump"}
        await expect(message.locator(".code-line.selected")).to_have_text(
            '17    await odyssey_client.interact(prompt="jump")'
        )
        facts = await message.locator(".facts").inner_text()
        for text in (
            "2.0600 s",
            "client to server",
            sample_traces.SESSION,
            "clientToStreamer",
            "server at 2.065 s (+5 ms)",
        ):
            assert text in facts, f"expected {text!r} in:\n{facts}"


async def test_hovering_shows_time_and_frame(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        plot = await page.locator("[data-plot=lanes]").bounding_box()
        assert plot
        # The axis shows 1.5 % more than the recorded 3.21 s on both sides.
        x = plot["x"] + plot["width"] * (2.6 + 3.21 * 0.015) / (3.21 * 1.03)
        await page.mouse.move(x, plot["y"] + 37)
        card = page.locator(".hover-card")

        await expect(card.locator(".time")).to_contain_text("2.60")
        await expect(card.locator(".hover-name")).to_have_text("next_frame")
        await expect(card.locator("img")).to_have_js_property("naturalWidth", 160)
        await page.mouse.click(x, plot["y"] + 37)
        await expect(page.locator(".message-name")).to_have_text("next_frame")


async def test_wheel_and_drag_change_the_visible_time(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        first = page.locator(".thumbnail").first
        plot = await page.locator("[data-plot=lanes]").bounding_box()
        assert plot
        whole = await first.get_attribute("style") or ""
        await page.mouse.move(plot["x"] + 900, plot["y"] + 80)
        await page.mouse.wheel(0, -400)
        await expect(first).not_to_have_attribute("style", whole)
        zoomed = await first.get_attribute("style") or ""
        await page.mouse.down()
        await page.mouse.move(plot["x"] + 700, plot["y"] + 80, steps=3)
        await page.mouse.up()
        await expect(first).not_to_have_attribute("style", zoomed)
        await page.keyboard.press("0")
        await expect(first).to_have_attribute("style", whole)


async def test_pending_call_is_found(opened: Open) -> None:
    async with opened(sample_traces.hang()) as page:
        await page.get_by_role("button", name="1 pending").click()

        await expect(selected(page)).to_contain_text("interact")
        await expect(selected(page)).to_contain_text("pending")
        await expect(page.locator(".waiting")).to_have_text("Waiting for the acknowledgment of interact")


async def test_wheel_shows_the_moment_under_the_pointer(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        plot = await page.locator("[data-plot=lanes]").bounding_box()
        assert plot
        await page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + 80)
        await page.mouse.wheel(0, -600)
        await page.keyboard.down("Shift")
        await expect(page.locator(".hover-card .time")).to_have_text("1.605 s")
        await page.mouse.wheel(0, 100)
        await expect(page.locator(".hover-card .time")).not_to_have_text("1.605 s")
        await page.keyboard.up("Shift")


async def test_selected_frame_is_moved_into_view(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        await page.keyboard.press(".")
        await expect(selected(page).locator(".event-time")).to_have_text("1.200 s")
        for _ in range(6):
            await page.keyboard.press("+")
        for _ in range(9):
            await page.keyboard.press(".")
        await expect(selected(page).locator(".event-time")).to_have_text("3.000 s")
        await expect(page.locator(".thumbnail.selected")).to_be_in_viewport()


async def test_filter_is_cleared(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        text, count = page.get_by_label("Filter by text"), page.locator(".filter-count")
        await text.fill("telemetry")
        await expect(count).to_contain_text("of 75")
        await page.get_by_label("Errors").focus()
        await page.keyboard.press("c")
        await expect(text).to_have_value("")
        await text.fill("telemetry")
        await expect(page.locator(".event").first).not_to_have_attribute("aria-setsize", "75")
        await page.get_by_role("button", name="First error").click()
        await expect(selected(page).locator(".event-time")).to_have_text("0.440 s")
        await expect(text).to_have_value("")


async def test_arrow_keys_move_the_splitter(opened: Open) -> None:
    async with opened(sample_traces.failed_assertion()) as page:
        splitter = page.get_by_role("separator", name="Height of the timeline")
        before = await page.locator(".time-panel").evaluate("(panel) => panel.clientHeight")
        await splitter.press("ArrowUp")
        await expect(splitter).to_have_attribute("aria-valuenow", "44")
        after = await page.locator(".time-panel").evaluate("(panel) => panel.clientHeight")

    assert after < before, f"expected less than {before} pixels, got {after}"


async def test_pending_calls_are_selected_in_turn(opened: Open) -> None:
    async with opened(sample_traces.two_clients()) as page:
        times = []
        for _ in range(3):
            await page.get_by_role("button", name="2 pending", exact=True).click()
            times.append(await selected(page).locator(".event-time").inner_text())

        assert times == ["3.000 s", "3.100 s", "3.000 s"]


async def test_keys_of_errors_keep_the_filter(opened: Open) -> None:
    async with opened(sample_traces.two_clients()) as page:
        await page.get_by_label("Session").select_option(index=2)
        await expect(page.locator(".filter-count")).to_contain_text("13 of 26")
        await page.get_by_label("Errors").focus()
        times = []
        for key in ("e", "e", "w"):
            await page.keyboard.press(key)
            times.append(await selected(page).locator(".event-time").inner_text())

        assert times == ["1.100 s", "2.100 s", "3.100 s"]
        await expect(page.locator(".filter-count")).to_contain_text("13 of 26")
        await page.get_by_label("Filter by text").fill("stats")
        await expect(page.locator(".filter-count")).to_contain_text("10 of 26")
        await page.get_by_label("Errors").focus()
        await page.keyboard.press("e")
        await expect(page.locator("[role=status]")).to_have_text("No error passes the filter")


async def test_list_shows_messages_of_log_records_and_prompts(opened: Open) -> None:
    async with opened(sample_traces.two_clients()) as page:
        await page.get_by_label("Errors").check()
        await expect(page.locator(".filter-count")).to_contain_text("4 of 26")
        names = await page.locator(".event.failed .event-name").all_inner_texts()
        await page.get_by_role("button", name="Clear").click()
        await expect(page.locator(".event").first).to_have_attribute("aria-setsize", "26")
        await page.keyboard.press("w")

        assert names == [
            "GET /regions status 503",
            "GET /regions status 503",
            "ERROR client 1 gave up",
            "ERROR client 2 gave up",
        ]
        await expect(selected(page).locator(".event-name")).to_have_text("interact jump 1")


async def test_click_selects_statistics_of_the_plotted_peer(opened: Open) -> None:
    async with opened(sample_traces.two_clients()) as page:
        await page.get_by_label("Peer of the statistics").select_option(label="client 2")
        plot = await page.locator("[data-plot=stats]").bounding_box()
        assert plot
        await page.mouse.click(plot["x"] + plot["width"] / 2, plot["y"] + 20)

        await expect(page.locator(".facts")).to_contain_text("client, client 2")


async def test_concurrent_calls_have_own_levels(opened: Open) -> None:
    async with opened(sample_traces.concurrent_calls(18)) as page:
        lane = page.locator(".lane-label")
        await expect(lane).to_have_text("Calls2 hidden")
        plot = await page.locator("[data-plot=lanes]").bounding_box()
        assert plot
        for level, name in ((0, "call 0"), (9, "call 9")):
            await page.mouse.click(plot["x"] + 400, plot["y"] + 4 + level * 17 + 8)
            await expect(page.locator(".message-name")).to_have_text(name)
        await page.get_by_label("Filter by text").fill("call 14")
        await expect(lane).to_have_text("Calls")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "390"])
async def test_long_path_and_command_leave_room(opened: Open, viewport: ViewportSize) -> None:
    command = f"pytest {'-k cat ' * 200}--last-option"
    title = f"tests/{'cats/' * 80}test_cats.py::test_jump"
    async with opened(sample_traces.trace_file([], title=title, command=command), viewport=viewport) as page:
        header = await page.locator("header").bounding_box()
        await expect(page.locator(".title-name")).to_be_in_viewport(ratio=1)
        await page.get_by_role("button", name="More").click()
        fact = page.get_by_role("listitem").filter(has_text="--last-option")
        hidden = await fact.evaluate("(item) => item.scrollWidth - item.clientWidth")
        right = await fact.evaluate("(item) => item.getBoundingClientRect().right - innerWidth")

    assert header
    assert header["height"] < 200, f"expected a header of less than 200 pixels, got {header['height']}"
    assert (hidden, right < 0) == (0, True), f"expected the whole command, got {hidden} pixels hidden, {right} outside"


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "390"])
async def test_title_has_the_parameters_of_the_test(opened: Open, viewport: ViewportSize) -> None:
    title = "tests/test_cats.py::TestCats::test_jump[a::b]"
    async with opened(sample_traces.trace_file([], title=title), viewport=viewport) as page:
        await expect(page.locator("h1")).to_have_text(title)
        shown = await page.locator("h1").inner_text()

    assert shown.endswith("test_jump[a::b]"), f"expected the name of the test, got {shown!r}"


async def test_filters_can_be_combined(opened: Open) -> None:
    async with opened(sample_traces.large(2_000, frames=10)) as page:
        count = page.locator(".filter-count")
        await page.get_by_label("Session").select_option(index=2)
        await expect(count).to_contain_text("400 of 2,000")
        await page.get_by_role("button", name="All lanes").click()
        await page.get_by_role("button", name="None").click()
        await page.get_by_label("HTTP").check()
        await page.keyboard.press("Escape")
        await expect(page.locator(".event-lane").first).to_have_text("HTTP")
        http = int((await count.inner_text()).split()[0])
        shown = await page.locator(".event-lane").all_inner_texts()
        await page.get_by_label("Filter by text").fill("no such text")
        await expect(page.locator("[data-panel=events] .empty")).to_have_text("No event passes the filter.")
        await page.get_by_role("button", name="Clear").click()

        assert 0 < http < 100
        assert set(shown) == {"HTTP"}
        await expect(page.locator(".event").first).to_have_attribute("aria-setsize", "2000")


async def test_long_list_has_few_elements(opened: Open) -> None:
    async with opened(sample_traces.large(5_000, frames=0)) as page:
        await page.locator(".event-list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        await page.wait_for_selector("[aria-posinset='5000']")

        assert await page.locator("[role=option]").count() < 60


async def test_theme_button_changes_the_colors(opened: Open) -> None:
    async with opened(sample_traces.passed()) as page:

        async def background() -> str:
            return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))

        light = await background()
        await page.get_by_role("button", name="Light or dark").click()
        dark = await background()
        await page.keyboard.press("t")

        assert dark != light
        assert await background() == light


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "390"])
async def test_markup_is_shown_as_text(opened: Open, viewport: ViewportSize) -> None:
    async with opened(sample_traces.hostile_markup(), viewport=viewport) as page:
        for _ in range(4):
            await page.keyboard.press("j")
            await expect(selected(page)).to_have_count(1)
        await page.keyboard.press("3")
        title = await page.locator("h1").text_content()
        executed = await page.evaluate("window.executed")
        inserted = await page.locator("main script, main img[src=x]").count()

    assert (title, executed, inserted) == (sample_traces.MARKUP, None, 0)


def _with_entries(**changed: bytes | None) -> bytes:
    """Return a trace whose entries are changed; names have `_` for `.` and `__` for `/`. None removes an entry."""
    entries = {
        "manifest.json": json.dumps(sample_traces.manifest(sources=[])).encode(),
        "events.jsonl": b'{"i":0,"t":0,"lane":"log","side":"client","name":"INFO","data":{}}\n',
    }
    for name, content in changed.items():
        path = name.replace("__", "/").replace("_", ".")
        if content is None:
            del entries[path]
        else:
            entries[path] = content
    return sample_traces.zip_file(entries)


def _manifest(**changes: Any) -> bytes:
    return json.dumps({**sample_traces.manifest(sources=[]), **changes}).encode()


def _in_directory(*, offset: int, value: bytes) -> bytes:
    """Return a trace in whose directory the first entry, the manifest, has other bytes at `offset`."""
    trace = sample_traces.passed()
    at = trace.index(b"PK\1\2") + offset
    return trace[:at] + value + trace[at + len(value) :]


def _with_zeros(content: bytes, first: int, last: int) -> bytes:
    return content[:first] + bytes(last - first) + content[last:]


def refused() -> Mapping[str, tuple[bytes, str]]:
    """Return files that are no traces, each with a part of the expected message."""
    return {
        "no zip": (b"no zip file", "expected a zip file that is complete"),
        "half": (sample_traces.passed()[:1500], "expected a zip file that is complete"),
        "foreign zip": (sample_traces.zip_file({"a.txt": b""}), 'got "a.txt"'),
        "no events": (_with_entries(events_jsonl=None), "expected a zip file with the entry events.jsonl"),
        "path traversal": (sample_traces.zip_file({"../events.jsonl": b""}), 'got "../events.jsonl"'),
        "newer": (
            _with_entries(manifest_json=_manifest(version=2)),
            "written by a newer version (2); this page reads version 1",
        ),
        "other format": (
            _with_entries(manifest_json=_manifest(format="har")),
            'expected the format "odytrace", got "har"',
        ),
        "no JSON": (_with_entries(events_jsonl=b"{\n"), 'events.jsonl, line 1: expected JSON, got "{"'),
        "no UTF-8": (_with_entries(events_jsonl=b"\xff\n"), "events.jsonl: expected text in UTF-8"),
        "no event": (_with_entries(events_jsonl=b'{"i": 0}\n'), "line 1: expected a number as `t`, got nothing"),
        "unknown lane": (
            _with_entries(events_jsonl=b'{"i":0,"t":0,"lane":"x","side":"client","name":""}\n'),
            'note as `lane`, got "x"',
        ),
        "too many entries": (
            sample_traces.zip_file({f"frames/{number:06}.jpg": b"" for number in range(20_001)}),
            "expected at most 20,000 entries in the zip file, got 20,001",
        ),
        "nested": (
            _with_entries(
                events_jsonl=b'{"i":0,"t":0,"lane":"log","side":"client","name":"","data":{"a":%s}}'
                % (b"[" * 600 + b"]" * 600)
            ),
            "line 1: expected JSON that is nested at most 500 times, got more",
        ),
        "repeated": (
            sample_traces.passed().replace(b"manifest.json", b"events.jsonl\0"),
            "expected only manifest.json",
        ),
        "encrypted": (_in_directory(offset=8, value=b"\x01"), "expected no encryption, got manifest.json encrypted"),
        "link": (_in_directory(offset=41, value=b"\xa1"), "expected a file, got a link: manifest.json"),
        "unpacked": (
            _in_directory(offset=24, value=b"\0\0\0\xf0"),
            "expected at most 536.9 MB when unpacked, got 4026.6 MB",
        ),
        "damaged": (_with_zeros(sample_traces.passed(), 60, 260), "got one that is damaged"),
    }


async def test_other_files_are_refused_with_the_reason(opened: Open) -> None:
    messages, files = {}, refused()
    async with opened(sample_traces.passed()) as page:
        for name, (content, _) in files.items():
            await choose(page, f"{name}.odytrace", content)
            await expect(page.get_by_role("alert")).to_contain_text(f"{name}.odytrace: ")
            messages[name] = await page.get_by_role("alert").inner_text()
            assert await page.locator(".event, .time-panel").count() == 0
        await choose(page, "good.odytrace", sample_traces.passed())
        await page.wait_for_selector(".event")

    wrong = {name: messages[name] for name, (_, expected) in files.items() if expected not in messages[name]}
    assert wrong == {}


async def test_recorded_session_is_shown(opened: Open, mock: MockOdyssey, tmp_path: Path) -> None:
    file = tmp_path / "session.odytrace"
    async with Odyssey(mock.api_key, api_url=mock.url, trace=file) as client:
        media = await client.connect()
        await client.start_stream("A cat on a windowsill")
        await anext(aiter(media))
        await client.interact("Pet the cat")
    async with opened(file.read_bytes()) as page:
        await page.get_by_label("Filter by text").fill("pet cat")
        await page.get_by_role("option", name="interact").click()
        message = page.get_by_role("region", name="Event", exact=True)

        await expect(message.locator(".message-name")).to_have_text("interact")
        assert json.loads(await message.get_by_label("Arguments").inner_text()) == {"prompt": "Pet the cat"}
        await expect(message.locator(".where")).to_contain_text("test_trace_viewer.py")
        await expect(page.locator(".thumbnail").first).to_have_js_property("naturalHeight", 160)
        await expect(page.locator(".stats .u-wrap canvas")).to_be_visible()


async def test_dropped_file_is_shown(opened: Open) -> None:
    async with opened(None) as page:
        await page.evaluate(
            """(bytes) => {
              const files = new DataTransfer();
              files.items.add(new File([new Uint8Array(bytes)], "cat.odytrace"));
              document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
            }""",
            list(sample_traces.failed_assertion()),
        )
        await expect(page.locator("h1")).to_have_text(sample_traces.TITLE)
