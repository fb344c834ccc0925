"""A command for `odyssey-mock chaos`: one session of the official JavaScript client in headless Chromium.

The command exits with an error message as soon as a call of the client is rejected. It has no timeout. The last line
of its output is the call in progress, or the error.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from playwright.async_api import Error, Page

from tests.contract.browser import chromium
from tests.contract.browser.waiting import wait_until

FRAMES = 15
"""Number of frames to receive after `startStream` and after `interact`: half a second of video."""


async def main() -> None:
    async with chromium.launched() as browser, await browser.new_page() as page:
        with chromium.served_page("session.html") as url:
            await page.add_init_script(f"window.__ODYSSEY_API_URL__ = {os.environ['ODYSSEY_API_URL']!r}")
            await page.goto(url)
            await wait_until(page, "window.session")
            playing = asyncio.ensure_future(
                page.evaluate("given => session.play(...given)", [os.environ["ODYSSEY_API_KEY"], FRAMES])
            )
            await show_steps(page, playing)
            try:
                await playing
            except Error as error:
                sys.exit(f"{await step(page)}: {error.message.splitlines()[0].removeprefix('Page.evaluate: ')}")


async def show_steps(page: Page, playing: "asyncio.Future[object]") -> None:
    """Print the name of each client call when the call begins, until the future `playing` is done."""
    shown = ""
    while not playing.done():
        if (now := await step(page)) != shown:
            shown = now
            print(shown, flush=True)
        await asyncio.wait([playing], timeout=0.1)


async def step(page: Page) -> str:
    return str(await page.evaluate("session.step"))


asyncio.run(main())
