"""Tests that hls.js in Chromium plays live and ended broadcasts of the mock."""

import base64
import io
from collections.abc import AsyncIterator
from typing import TypedDict, cast

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Page

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from tests.contract.browser.waiting import wait_until
from tests.support.whep import live

pytestmark = pytest.mark.asyncio(loop_scope="session")


class State(TypedDict):
    """State of the page's `HTMLVideoElement`, and the errors that hls.js reported."""

    currentTime: float
    ended: bool
    width: int
    height: int
    duration: float | None
    codecs: str | None
    errors: list[dict[str, object]]


class Player:
    """The hls.js player in one page. The methods call the functions of `hls.js` in this folder."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def play(self, url: str) -> None:
        await self._page.evaluate("url => player.play(url)", url)

    async def state(self) -> State:
        return cast("State", await self._page.evaluate("player.state()"))

    async def until(self, condition: str) -> None:
        """Wait until a JavaScript condition is true. In the condition, `now` is the current result of `state()`."""
        script = f"() => {{ const now = player.state(); return {condition}; }}"
        await wait_until(self._page, script)

    async def stamp(self) -> FrameStamp:
        """Read the stamp of the next frame that the browser presents."""
        png = base64.b64decode((await self._page.evaluate("player.nextFrame()")).partition(",")[2])
        stamp = read_stamp(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))
        assert stamp is not None
        return stamp


@pytest_asyncio.fixture(loop_scope="session")
async def player(browser: Browser, page_url: str) -> AsyncIterator[Player]:
    """Open the page `hls.html` and yield its player. Afterward, fail the test if the page had uncaught errors."""
    uncaught: list[str] = []
    async with await browser.new_context() as context, await context.new_page() as page:
        page.on("pageerror", lambda error: uncaught.append(str(error)))
        await page.goto(page_url.replace("page.html", "hls.html"))
        await wait_until(page, "window.player")
        yield Player(page)
    assert not uncaught, f"expected no uncaught errors in the page, got {uncaught}"


async def test_hls_js_plays_a_live_broadcast(player: Player, mock: MockOdyssey) -> None:
    async with live(mock) as broadcast:
        await player.play(broadcast.ready["broadcast_url"])
        await player.until("now.currentTime > 0.5")
        before, first = await player.state(), await player.stamp()
        await player.until(f"now.currentTime > {before['currentTime'] + 2}")
        after, later = await player.state(), await player.stamp()
        tag = mock.streams[broadcast.stream_id].timeline.tag
        assert first.stream_tag == later.stream_tag == tag
        assert later.frame_index - first.frame_index >= 20, (
            f"expected at least 20 new frames in 2 s of video, got {later.frame_index - first.frame_index}"
        )
        assert (after["width"], after["height"]) == (704, 1280)
        assert after["codecs"] == "avc1.42C01F"
        assert after["duration"] is None, f"expected a live broadcast to have no duration, got {after['duration']} s"
        assert not any(error["fatal"] for error in after["errors"]), (
            f"expected hls.js to report no fatal error, got {after['errors']}"
        )


async def test_hls_js_plays_ended_broadcast_to_its_end(player: Player, mock: MockOdyssey) -> None:
    async with live(mock) as broadcast:
        hls = mock.broadcasts[broadcast.stream_id].hls
        assert hls is not None
        await hls.playlist("")  # wait for the first segment; the end of the broadcast adds the last one
        await broadcast.end()
        await player.play(broadcast.ready["broadcast_url"])
        stamp = await player.stamp()
        assert stamp.stream_tag == mock.streams[broadcast.stream_id].timeline.tag
        await player.until("now.ended")
        ended = await player.state()
        assert ended["duration"] is not None
        # A slow machine skips frames, but the duration includes their time.
        assert ended["duration"] >= (broadcast.frames or 0) / 20 - 0.001
        assert ended["currentTime"] == pytest.approx(ended["duration"], abs=0.1)
        assert ended["errors"] == []
