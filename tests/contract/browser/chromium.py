"""Functions that require and launch headless Chromium, and that serve and open the page with the vendor's client."""

import functools
import os
import shutil
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from tests.contract.browser.trust import trust
from tests.contract.browser.waiting import wait_until

HERE = Path(__file__).parent
PACKAGES = ("@odysseyml/odyssey", "odyssey-1.0.0", "hls.js", "react", "react-dom")
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",  # a camera for the console
)


def executable() -> str | None:
    """Return the path of the first Chromium on PATH; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing_package(packages: Iterable[str] = PACKAGES) -> str | None:
    """Return a description of the first of these npm packages that is not installed; None if all are."""
    for package in packages:
        if not (HERE / "node_modules" / package).is_dir():
            return f"the npm package {package} is not installed"
    return None


def missing() -> str | None:
    """Return a description of the first missing requirement of the tests in Chromium; None if nothing is missing."""
    return missing_package() or (None if executable() else f"no Chromium on PATH (looked for {', '.join(NAMES)})")


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- named by the base class
        """Log nothing. By default, the base class prints every request."""


@contextmanager
def served_page(
    name: str = "page.html", *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve the page `name` and the npm packages, and yield the URL of the page. With `tls`, it is an https URL.

    The page and the mock have different origins, so all requests to the mock are cross-origin.
    """
    handler = functools.partial(_QuietHandler, directory=str(HERE))
    with ThreadingHTTPServer((host, port), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://{host}:{server.server_port}/{name}"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def launched(root: Path | None = None) -> AsyncIterator[Browser]:
    """Start Chromium, and yield it. It trusts the certificate authority in the PEM file `root`, if there is one."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        if root is not None:
            trust(root, Path(home, ".pki", "nssdb"))
        async with (
            async_playwright() as playwright,
            await playwright.chromium.launch(
                executable_path=executable(), args=FLAGS, env=None if root is None else {**os.environ, "HOME": home}
            ) as browser,
        ):
            yield browser


class Pages:
    """Pages of one browser, each with its own browser context. Later tests reuse the pages of earlier tests.

    Opening a new page takes a second of processor time. Loading an open page again takes a third of that.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._unused: list[tuple[Page, CDPSession]] = []

    @asynccontextmanager
    async def opened(self, page_url: str, *, api_url: str, permissions: Sequence[str] = ()) -> AsyncIterator[Page]:
        """Load `page_url` without stored data, and yield the page. Its client connects to the service at `api_url`.

        The page has the given permissions, as after a user has granted them.
        """
        page, devtools = self._unused.pop() if self._unused else await self._new()
        if permissions:
            await page.context.grant_permissions(permissions)
        await page.goto(f"{page_url}#{api_url}")
        await wait_until(page, "window.contract")
        yield page
        await page.goto("about:blank")  # ends all connections of the document
        await page.context.clear_permissions()
        origin = page_url.rpartition("/")[0]
        await devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self._unused.append((page, devtools))

    async def _new(self) -> tuple[Page, CDPSession]:
        context = await self._browser.new_context()
        page = await context.new_page()
        await page.add_init_script("window.__ODYSSEY_API_URL__ = location.hash.slice(1)")
        return page, await context.new_cdp_session(page)
