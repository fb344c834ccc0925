"""A script that connects the official client to a mock twice, and prints the duration of each `connect` in seconds.

test_offline_browser.py runs it in a network namespace without internet access. Its argument is the browser:
`chromium` or `firefox`.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from odyssey_mock import MockOdyssey
from tests.contract.browser import chromium, firefox
from tests.contract.browser.official_client import OfficialClient, ScriptedPage


async def session(official: OfficialClient, mock: MockOdyssey) -> float:
    began = time.perf_counter()
    await official.connect(mock.api_key)
    took = time.perf_counter() - began
    await official.start_stream("A cat")
    await official.frame_showing(0)
    await official.end_stream()
    await official.disconnect()
    return took


@asynccontextmanager
async def opened(browser: str, page_url: str, mock: MockOdyssey) -> AsyncIterator[OfficialClient]:
    """Start the browser, open the page in it, and yield the official client in the page."""
    async with AsyncExitStack() as stack:
        page: ScriptedPage
        if browser == "chromium":
            pages = chromium.Pages(await stack.enter_async_context(chromium.launched()))
            page = await stack.enter_async_context(pages.opened(page_url, api_url=mock.url))
        else:
            running = await stack.enter_async_context(firefox.launched())
            page = await stack.enter_async_context(running.opened(page_url, api_url=mock.url))
        yield OfficialClient(page)


async def main(browser: str) -> None:
    with chromium.served_page() as page_url:
        async with asyncio.timeout(60), MockOdyssey() as mock, opened(browser, page_url, mock) as official:
            took = [await session(official, mock) for _ in range(2)]
    sys.stdout.write(json.dumps({"connect_s": took}))


asyncio.run(main(sys.argv[1]))
