"""Tests that an https page in a browser uses the camera and the mock, whose root certificate the user trusts."""

import datetime
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.rtc.host_addresses import host_addresses
from odyssey_mock.tls.certificates import create_root
from odyssey_mock.tls.server_tls import issued_tls
from tests.contract.browser import chromium, firefox, trust
from tests.contract.browser.official_client import OfficialClient, ScriptedPage
from tests.contract.browser.waiting import wait_until
from tests.support.pages import blocks
from tests.support.requirements import require

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUN_LIMIT_S = 30.0
"""Timeout in seconds of a command, which takes a tenth of a second."""
CAMERA = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
  const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true });
  await video.play();
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  canvas.getContext("2d").drawImage(video, 0, 0, 320, 240);
  stream.getTracks().forEach((track) => track.stop());
  return [window.isSecureContext, canvas.toDataURL("image/png").split(",")[1]];
}"""
"""A function that takes a picture with the camera, and returns whether the page is secure, and the PNG in base64."""


@pytest.fixture(scope="module")
def address() -> str:
    """Return an IPv4 address at which other machines reach this one, or else 127.0.0.1.

    At an address that other machines reach, browsers call only https pages secure.
    """
    found = [each for each in host_addresses(loopback_only=False) if ":" not in each]
    require(None if found else "this machine has no IPv4 address")
    return found[-1]


def page_tls(directory: Path, address: str) -> ssl.SSLContext:
    """Return the TLS context of the server of the page. Its certificate has the same root as that of the mock."""
    return issued_tls(directory, [address], owner="tests", now=datetime.datetime.now(datetime.UTC)).context


@asynccontextmanager
async def mock_and_page(folder: Path, address: str) -> AsyncIterator[tuple[MockOdyssey, str]]:
    """Run a mock at `address` and serve the page with the vendor's client at another origin, both over https."""
    directory = folder / "tls"
    async with MockOdyssey(host=address, tls=True, tls_dir=str(directory), portrait_size=(176, 320)) as mock:
        with chromium.served_page(host=address, tls=page_tls(directory, address)) as url:
            yield mock, url


async def uses_camera_and_mock(page: ScriptedPage, mock: MockOdyssey) -> None:
    """Take a picture with the camera, start a broadcast from it, and watch it, all with the vendor's client."""
    client = OfficialClient(page)
    is_secure, png = await page.evaluate(CAMERA)
    assert is_secure
    await client.connect(mock.api_key)
    await client._call("startFromPng", {"prompt": "A cat", "portrait": True, "broadcast": True}, png)
    await client.frame_showing(0)
    broadcast = await client.broadcast()
    assert broadcast["webrtcUrl"].startswith(f"{mock.url}/")
    assert await client.watch(broadcast["webrtcUrl"], broadcast["spectatorToken"]) is None
    assert broadcast["hlsUrl"] is not None
    playlist = await page.evaluate("async (url) => (await fetch(url)).text()", broadcast["hlsUrl"])
    assert playlist.startswith("#EXTM3U")
    await client.leave()
    await client.disconnect()
    start = mock.expect("interactive_stream_start", kind="signaling")
    picture = start.data["message"]["input_image_base64"]  # the client has scaled it
    assert picture.startswith("data:image/png;base64,"), f"expected a PNG, got {picture!r}"


async def test_https_page_in_chromium_uses_camera_and_mock(needs: None, address: str, tmp_path: Path) -> None:
    require(trust.missing())
    async with (
        mock_and_page(tmp_path, address) as (mock, url),
        chromium.launched(mock.root_certificate) as browser,
        await browser.new_context(permissions=["camera"]) as context,
    ):
        page = await context.new_page()
        await page.add_init_script("window.__ODYSSEY_API_URL__ = location.hash.slice(1)")
        await page.goto(f"{url}#{mock.url}")
        await wait_until(page, "window.contract")
        await uses_camera_and_mock(page, mock)
        await page.goto(f"{mock.url}/_mock/console/#token={mock.control_token}")
        await page.wait_for_selector(".view-head, .loading h1")
        assert await page.evaluate("window.isSecureContext")


async def test_https_page_in_firefox_uses_camera_and_mock(needs_firefox: None, address: str, tmp_path: Path) -> None:
    require(trust.missing())
    async with mock_and_page(tmp_path, address) as (mock, url):
        preferences = {"media.navigator.streams.fake": True, "media.navigator.permission.disabled": True}
        async with (
            firefox.launched(mock.root_certificate, preferences=preferences) as running,
            running.opened(url, api_url=mock.url) as page,
        ):
            await uses_camera_and_mock(page, mock)


async def test_documented_commands_let_browsers_trust(tmp_path: Path) -> None:
    require(trust.missing())
    (block,) = (each for each in blocks("sh") if "certutil" in each.code)
    root = tmp_path / "root.crt"
    root.write_bytes(create_root("tests", datetime.datetime.now(datetime.UTC)).certificate_pem)
    run(["sh", "-ec", block.code], HOME=str(tmp_path), ODYSSEY_CA_FILE=str(root))
    listed = run(["certutil", "-L", "-d", f"sql:{tmp_path}/.pki/nssdb"])
    assert re.search(r"^Odyssey mock +C,, *$", listed, re.MULTILINE), listed


def run(command: Sequence[str], **environment: str) -> str:
    """Run a command, and return its output."""
    done = subprocess.run(
        command, env={**os.environ, **environment}, check=True, capture_output=True, text=True, timeout=RUN_LIMIT_S
    )
    return done.stdout
