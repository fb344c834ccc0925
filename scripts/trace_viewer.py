"""Measure the trace viewer in Chromium: opening, scrolling, zoom, keys and filters with a trace of 10 minutes.

    python scripts/trace_viewer.py [EVENTS]

The first line has the real time until the list of events is painted. Each other line has the longest task of the page,
in milliseconds of processor time and of real time, which depends on the load of the machine. The exit code is 1 if
opening takes 2 s or more, or another task more than 0.1 s of processor time.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parent.parent))

from odyssey_mock.trace.page import viewer_page
from tests.contract.browser.chromium import launched
from tests.contract.browser.waiting import wait_until
from tests.support.sample_traces import large

EVENTS = 100_000
OPENING_MS = 2_000.0
TASK_MS = 100.0
OPENINGS = 3
NOTE_FIRST_LIST = """new MutationObserver((_, observer) => {
  if (!document.querySelector("[role=option]")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.shownAt = performance.now(); }));
}).observe(document, { childList: true, subtree: true });"""
SETTLING_MS = 800
"""Milliseconds after each action, in which its last tasks end."""
CATEGORIES = ["toplevel", "devtools.timeline"]


async def tasks_during(
    browser: Browser, page: Page, action: Callable[[], Awaitable[None]]
) -> list[tuple[float, float]]:
    """Return the tasks of the page's main thread during an action, as milliseconds of (processor, real) time."""
    await browser.start_tracing(page=page, categories=CATEGORIES)
    await action()
    await page.wait_for_timeout(SETTLING_MS)
    events = json.loads(await browser.stop_tracing())["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return [
        (event.get("tdur", 0) / 1000, event["dur"] / 1000)
        for event in events
        if event["ph"] == "X" and event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads
    ]


def actions(page: Page) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the actions by name, in the order in which they are measured."""

    async def wheel(selector: str, x: float, y: float) -> None:
        await page.locator(selector).hover(position={"x": 300, "y": 60})
        for _ in range(20):
            await page.mouse.wheel(x, y)

    async def keys(text: str) -> None:
        for key in text:
            await page.keyboard.press(key)

    async def hover() -> None:
        for step in range(40):
            await page.locator(".lanes .plot").hover(position={"x": 200 + step * 10, "y": 20 + step})

    async def text_filter() -> None:
        await page.get_by_label("Filter by text").press_sequentially("jumps at 59")
        await page.locator(".filter-count button").wait_for()

    return {
        "scrolling the list": lambda: wheel(".event-list", 0, 2_000),
        "zooming in": lambda: wheel(".lanes .plot", 0, -300),
        "moving": lambda: wheel(".lanes .plot", 200, 0),
        "zooming out": lambda: wheel(".lanes .plot", 0, 300),
        "hovering": hover,
        "selecting events": lambda: keys("jjjjjeee"),
        "filtering by text": text_filter,
    }


async def opening_ms(page: Page, url: str) -> float:
    """Return the milliseconds from the start of the navigation until the list of events is painted."""
    await page.add_init_script(NOTE_FIRST_LIST)
    await page.goto(url)
    await wait_until(page, "() => window.shownAt")
    return float(await page.evaluate("window.shownAt"))


async def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "page.html"
        path.write_text(viewer_page(large(count)), encoding="utf-8")
        async with (
            launched() as browser,
            await browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True) as context,
        ):
            page = await context.new_page()
            opened = min([await opening_ms(page, path.as_uri()) for _ in range(OPENINGS)])
            sys.stdout.write(f"opening, fastest of {OPENINGS}: {opened:.0f} ms\n")
            is_slow = opened >= OPENING_MS
            for name, action in actions(page).items():
                tasks = await tasks_during(browser, page, action)
                processor, real = (max(values) for values in zip(*tasks, strict=True))
                sys.stdout.write(f"{name:20} {processor:8.0f} ms of processor time, {real:6.0f} ms of real time\n")
                is_slow |= processor > TASK_MS
    return int(is_slow)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
