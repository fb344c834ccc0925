"""A wait for a condition in a page, which all tests in browsers use."""

from typing import Protocol

POLLING_MS = 50.0
"""Milliseconds between two looks at a condition. By default, Playwright looks at each frame of the screen, for which
Chromium draws the page 60 times a second. A hidden page has no such frames.
"""

LIMIT_S = 60.0
"""Default timeout in seconds for a wait. Waits usually take much less."""


class WaitingPage(Protocol):
    """A page in a browser: Playwright's `Page`, or a `FirefoxPage`."""

    async def wait_for_function(self, expression: str, *, arg: object, timeout: float, polling: float) -> object: ...


async def wait_until(page: WaitingPage, expression: str, arg: object = None, *, limit: float = LIMIT_S) -> None:
    """Wait at most `limit` seconds until an expression, or a call of its value with `arg`, is true in the page."""
    await page.wait_for_function(expression, arg=arg, timeout=limit * 1000, polling=POLLING_MS)
