"""A script that opens each page of `table.PAGES` in a browser, and tries to connect to a mock from it.

Its argument is the browser. It runs in the network "address spaces", and prints for each page whether it connects, and
whether it may use the camera.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Error

from odyssey_mock import MockOdyssey
from tests.contract.browser import chromium, firefox
from tests.contract.browser.official_client import OfficialClient
from tests.support import nginx
from tests.support.certificate_files import ServerFiles, server_files
from tests.support.networks.table import PAGES, SITES, Answer, WebPage

BROWSER = sys.argv[1]

type Browser = chromium.Pages | firefox.Firefox

PERMISSIONS = {"chromium": ["local-network-access"], "firefox": ["local-network", "loopback-network"]}
"""The permissions that pages of public sites need, in each browser."""

LIMITS = {"chromium": 30.0, "firefox": 7.0}
"""Timeout in seconds of a connection. Chromium rejects requests at once. Firefox lets them wait for an answer."""


class Visitor:
    """A browser, the pages that it can open, and the mock to which they connect."""

    def __init__(
        self, browser: chromium.Pages | firefox.Firefox, origins: dict[tuple[str, str], str], key: str
    ) -> None:
        self._browser = browser
        self._origins = origins
        self._key = key

    async def answer(self, page: WebPage) -> tuple[Answer, bool]:
        """Return whether the page connects, and whether it is a secure context, which may use the camera."""
        connects, is_secure = await self._connects(page, [])
        if connects:
            return "yes", is_secure
        connects, _ = await self._connects(page, PERMISSIONS[BROWSER])
        return "asks" if connects else "no", is_secure

    async def _connects(self, page: WebPage, permissions: Sequence[str]) -> tuple[bool, bool]:
        url = f"{self._origins[page.scheme, page.site]}/page.html"
        async with self._browser.opened(url, api_url=page.api_url, permissions=permissions) as tab:
            is_secure = await tab.evaluate("isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia)")
            try:
                async with asyncio.timeout(LIMITS[BROWSER]):
                    await OfficialClient(tab).first_frame(self._key)
            except (Error, firefox.BidiError, TimeoutError):
                return False, is_secure
            return True, is_secure


async def main() -> None:
    with TemporaryDirectory() as folder:
        files = server_files(Path(folder), *SITES, *SITES.values())
        os.environ["SSL_CERT_FILE"] = str(files.root)
        async with asyncio.timeout(110), AsyncExitStack() as running:
            mock = await running.enter_async_context(
                MockOdyssey(host="0.0.0.0", port=8400, portrait_size=(176, 320), concurrent_sessions=None)
            )
            await running.enter_async_context(nginx.running(Path(folder), files.certificate, files.key))
            origins = {
                (scheme, site): _served(running, site, files if scheme == "https" else None)
                for scheme, site in {(page.scheme, page.site) for page in PAGES}
            }
            visitor = Visitor(await _browser(running, files.root), origins, mock.api_key)
            answers = {str(page): await visitor.answer(page) for page in PAGES}
    print(json.dumps(answers))


def _served(running: AsyncExitStack, site: str, files: ServerFiles | None) -> str:
    """Serve the pages of a site; return its origin."""
    tls = None if files is None else files.context()
    url = running.enter_context(chromium.served_page(host=SITES[site], tls=tls))
    return url.removesuffix("/page.html").replace(SITES[site], site)


async def _browser(running: AsyncExitStack, root: Path) -> Browser:
    if BROWSER == "chromium":
        return chromium.Pages(await running.enter_async_context(chromium.launched(root)))
    return await running.enter_async_context(firefox.launched(root))


asyncio.run(main())
