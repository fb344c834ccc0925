"""A script that connects the official client to a mock twice, and prints the duration of each `connect` in seconds.

test_offline_browser.py runs it in a network namespace without internet access.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from odyssey_mock import MockOdyssey
from tests.contract.browser import chromium
from tests.contract.browser.official_client import OfficialClient


async def session(official: OfficialClient, mock: MockOdyssey) -> float:
    began = time.perf_counter()
    await official.connect(mock.api_key)
    took = time.perf_counter() - began
    await official.start_stream("A cat")
    await official.frame_showing(0)
    await official.end_stream()
    await official.disconnect()
    return took


async def main() -> None:
    with chromium.served_page() as page_url:
        async with (
            asyncio.timeout(60),
            MockOdyssey() as mock,
            chromium.launched() as browser,
            chromium.Pages(browser).opened(page_url, api_url=mock.url) as page,
        ):
            official = OfficialClient(page)
            took = [await session(official, mock) for _ in range(2)]
    sys.stdout.write(json.dumps({"connect_s": took}))


asyncio.run(main())
