"""A phone that opens an app on a computer: Chromium with the profile of a phone.

computer.py calls `visit` in the network namespace of the phone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import httpx

from tests.contract.browser import chromium
from tests.contract.browser.official_client import OfficialClient
from tests.contract.browser.waiting import wait_until

LIMIT = 80.0
"""Timeout in seconds of a visit, including the start of Chromium."""

CAMERA = """async () => {
  const camera = await navigator.mediaDevices?.getUserMedia({ video: true });
  return camera?.getVideoTracks()[0].readyState ?? null;
}"""
"""A function that returns the state of the phone's camera, or null if the page may not use it."""


@dataclass(frozen=True)
class Visit:
    """What the user of the phone does: installs a root, and opens a page.

    Attributes:
        root: the URL or the path of the root certificate.
        page: the URL of the page of the app.
        api_url: the URL of the mock that the app has.
        key: the API key.
        permissions: what the user permits to the page. With `camera`, Chromium no longer hides the phone's address.
    """

    root: str | Path
    page: str
    api_url: str
    key: str
    permissions: Sequence[str] = ()


class Seen(TypedDict):
    """What the page could do on the phone.

    Attributes:
        camera: the state of the camera, `live`, or None if the page may not use it.
        size: the size of the first frame of the stream.
    """

    camera: str | None
    size: tuple[int, int]


async def visit(plan: Visit) -> Seen:
    """Install the root, open the page, and start a stream in it."""
    async with asyncio.timeout(LIMIT):
        with TemporaryDirectory() as folder:
            root = Path(folder) / "root.crt"
            root.write_bytes(await _downloaded(plan.root) if isinstance(plan.root, str) else plan.root.read_bytes())
            async with (
                chromium.launched(root) as browser,
                await browser.new_context(
                    viewport={"width": 412, "height": 839}, is_mobile=True, has_touch=True, permissions=plan.permissions
                ) as context,
                await context.new_page() as page,
            ):
                await page.add_init_script(f"window.__ODYSSEY_API_URL__ = {plan.api_url!r}")
                await page.goto(plan.page)
                await wait_until(page, "window.contract")
                camera = await page.evaluate(CAMERA)
                official = OfficialClient(page)
                await official.connect(plan.key)
                await official.start_stream("A cat")
                frame = await official.frame_showing(0)
                await official.disconnect()
                return {"camera": camera, "size": frame.size}


async def _downloaded(url: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(url)).raise_for_status().content
