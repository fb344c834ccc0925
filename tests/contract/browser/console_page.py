"""The console of a mock in Chromium: opening it, what axe-core finds in it, and screenshots."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from playwright.async_api import ConsoleMessage, Error, Page, Request, ViewportSize, expect

from tests.contract.browser.chromium import HERE
from tests.support.requirements import require

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
AXE = HERE / "node_modules/axe-core/axe.min.js"
SCREENSHOTS = HERE.parents[2] / "odyssey-screenshots"
"""The folder of screenshots, which git ignores and CI keeps."""
INLINE = ("data:", "blob:")

type Scheme = Literal["light", "dark"]

SCHEMES: Sequence[tuple[Scheme, str]] = (("light", ""), ("dark", "color-contrast"))
"""The color schemes, with the rules of axe-core that are checked in each: the others do not depend on colors."""


class ConsoleTab:
    """A tab of Chromium for the console. All tests use the same one, because a new one takes a second."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @asynccontextmanager
    async def opened(
        self,
        url: str,
        view: str = "overview",
        *,
        viewport: ViewportSize = WIDE,
        expected: Sequence[str] = (),
    ) -> AsyncIterator[Page]:
        """Open a view of the console of the mock at `url`, and yield the page once the view is shown.

        At the end, assert that the page sent requests only to the mock, without a token in their addresses. Assert
        that it wrote nothing to the browser's console except messages that contain one of the texts in `expected`.
        Chromium writes one for each response with an error status.
        """
        page = self.page
        await page.set_viewport_size(viewport)
        # Colors that are changing have no contrast that axe-core could measure.
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        async with noted(page) as (requested, messages):
            await page.goto(f"{url}/_mock/console/#/{view}")
            await page.wait_for_selector(".view-head, .loading h1")
            yield page
        foreign = [each for each in requested if not each.startswith((f"{url}/", *INLINE, "about:"))]
        problems = [each for each in messages if not any(text in each for text in expected)]
        with_token = [each for each in requested if "token=" in each.partition("#")[0]]
        assert foreign == [], f"expected requests only to {url}, got {foreign}"
        assert with_token == [], f"expected tokens only in headers, because logs have addresses, got {with_token}"
        assert problems == [], f"expected no message in the browser's console, got {problems}"


@asynccontextmanager
async def noted(page: Page) -> AsyncIterator[tuple[Sequence[str], Sequence[str]]]:
    """Note what a page does until the end of the block, where it is closed.

    Yield the URLs of its requests, and its messages and errors in the browser's console.
    """
    requested: list[str] = []
    messages: list[str] = []

    def note_request(request: Request) -> None:
        requested.append(request.url)

    def note_message(message: ConsoleMessage) -> None:
        messages.append(f"{message.type}: {message.text[:300]}")

    def note_error(error: Error) -> None:
        messages.append(str(error))

    page.on("request", note_request)
    page.on("console", note_message)
    page.on("pageerror", note_error)
    try:
        yield requested, messages
    finally:
        await page.goto("about:blank")
        page.remove_listener("request", note_request)
        page.remove_listener("console", note_message)
        page.remove_listener("pageerror", note_error)


async def violations(page: Page, rules: str = "") -> list[str]:
    """Return what axe-core finds in the page, one line for each element; `rules` limits it to one rule."""
    if not await page.evaluate("Boolean(window.axe)"):
        await page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": [rules]} if rules else {})}
    found = await page.evaluate("(options) => axe.run(document, options)", options)
    return [f"{rule['id']}: {node['html'][:150]}" for rule in found["violations"] for node in rule["nodes"]]


async def look_at(page: Page, name: str) -> list[str]:
    """Take screenshots of what the page shows, at both widths, light and dark; return what is wrong with it.

    That are the violations that axe-core finds, and a page that is wider than its window.
    """
    require(None if AXE.is_file() else "the npm package axe-core is not installed")
    problems: list[str] = []
    for viewport in (WIDE, NARROW):
        await page.set_viewport_size(viewport)
        for scheme, rules in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            await screenshot(page, name)
            where = f"{viewport['width']} pixels, {scheme}"
            problems += [f"{where}: {violation}" for violation in await violations(page, rules)]
        if (wider := await overflow(page)) > 0:
            problems.append(f"{viewport['width']} pixels: the page is {wider} pixels wider than its window")
    return problems


async def layout_shift(page: Page) -> float:
    """Return how much the page has moved since it was opened, as the Layout Instability API counts it."""
    script = """() => {
      const observer = new PerformanceObserver(() => {});
      observer.observe({ type: "layout-shift", buffered: true });
      return observer.takeRecords().reduce((sum, { value }) => sum + value, 0);
    }"""
    return float(await page.evaluate(script))


async def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))


async def screenshot(page: Page, name: str) -> None:
    """Save a picture of the page in `SCREENSHOTS`, as `NAME-WIDTH-SCHEME.png`."""
    width = await page.evaluate("innerWidth")
    is_dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    await page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{'dark' if is_dark else 'light'}.png")


async def copied(page: Page, what: str) -> str:
    """Press the button that copies `what`, and return the contents of the clipboard."""
    await page.get_by_role("button", name=what).click()
    await expect(page.get_by_role("status")).to_have_text(f"{what} copied")
    return str(await page.evaluate("navigator.clipboard.readText()"))
