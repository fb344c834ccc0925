"""Tests in headless Firefox: the unmodified npm package `@odysseyml/odyssey`, the trace viewer and the console."""

import json
from pathlib import Path

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.trace.page import viewer_page
from tests.contract.browser.firefox import Firefox
from tests.contract.browser.official_client import OfficialClient
from tests.contract.browser.waiting import wait_until
from tests.support import sample_traces

pytestmark = pytest.mark.asyncio(loop_scope="session")

PORTRAIT = (704, 1280)
LANDSCAPE = (1280, 704)
FRAMES_PER_SECOND = "() => Number(document.querySelector('[title^=\"frames per second\"] .number')?.textContent)"
VP8 = "video/VP8"
"""Debian's Firefox decodes no H.264, which the mock prefers."""


async def test_live_session_plays_as_vp8(in_firefox: OfficialClient, mock: MockOdyssey) -> None:
    connection = await in_firefox.connect(mock.api_key)
    idle = await in_firefox.frame_showing(None)

    stream_id = await in_firefox.start_stream("A cat on a windowsill")
    started = await in_firefox.frame_showing(0)
    applied = await in_firefox.interact("Pet the cat")
    changed = await in_firefox.frame_showing(1)
    playback = await in_firefox.playback()
    await in_firefox.end_stream()
    await in_firefox.frame_showing(None)
    await in_firefox.disconnect()

    closed = await mock.journal.wait_for("state", "session", session=connection["sessionId"], to="closed")
    assert closed.data["event"] in {"client_left", "peer_closed"}
    assert mock.sessions == {}
    assert idle.size == started.size == changed.size == PORTRAIT
    assert (playback["codec"], playback["width"], playback["height"]) == (VP8, *PORTRAIT)
    assert playback["framesDecoded"] > 0
    assert await in_firefox.events("stream_started") == [[stream_id]]
    assert await in_firefox.events("interact_acknowledged") == [[applied]]
    assert await in_firefox.events("stream_ended") == [[]]
    assert await in_firefox.events("disconnected") == [[]]


async def test_second_stream_in_firefox_changes_the_orientation(in_firefox: OfficialClient, mock: MockOdyssey) -> None:
    await in_firefox.connect(mock.api_key)
    await in_firefox.start_stream("A tower", portrait=True)
    await in_firefox.frame_showing(0, PORTRAIT)
    await in_firefox.end_stream()

    await in_firefox.start_stream("A plain", portrait=False)

    await in_firefox.frame_showing(0, LANDSCAPE)


async def test_start_image_arrives_from_firefox(in_firefox: OfficialClient, mock: MockOdyssey) -> None:
    await in_firefox.connect(mock.api_key)

    await in_firefox.start_from_image("Clouds drift by")

    await in_firefox.frame_showing(0, PORTRAIT)
    frame = await in_firefox.frame()
    (start,) = mock.journal.find("signaling", "interactive_stream_start")
    assert str(start.data["message"]).count("data:image/png;base64,") == 1
    # The start image is blue above and yellow below. The scene shows it in the size of the video, with text over it.
    red, _, blue = (int(channel) for channel in frame.pixels[300:500, 300:400].mean(axis=(0, 1)))
    assert blue > red
    red, _, blue = (int(channel) for channel in frame.pixels[800:1000, 300:400].mean(axis=(0, 1)))
    assert red > blue


async def test_host_and_spectator_in_firefox_share_a_stream(
    in_firefox: OfficialClient, spectator_in_firefox: OfficialClient, mock: MockOdyssey
) -> None:
    await in_firefox.connect(mock.api_key)
    stream_id = await in_firefox.start_broadcast("A floating alien temple")
    info = await in_firefox.broadcast()

    assert await spectator_in_firefox.watch(info["webrtcUrl"], info["spectatorToken"]) is None
    first = await spectator_in_firefox.frame_showing(0)
    await in_firefox.interact("The temple lights up")
    await spectator_in_firefox.frame_showing(1)
    playback = await spectator_in_firefox.playback()
    await in_firefox.end_stream()
    await mock.wait_for("state", "spectator", to="gone")  # Firefox itself notices the end after 30 s

    assert first.stamp is not None
    assert first.stamp.stream_tag == mock.streams[stream_id].timeline.tag
    assert first.size == PORTRAIT
    assert playback["codec"] == VP8


async def test_spectator_in_firefox_leaves_with_status_200(
    spectator_in_firefox: OfficialClient, mock: MockOdyssey
) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as host:
        await host.connect()
        live = mock.broadcasts[await host.start_stream("A temple", portrait=False, broadcast=True)]
        assert await spectator_in_firefox.watch(live.webrtc_url, live.token) is None
        await spectator_in_firefox.frame_showing(0, LANDSCAPE)

        await spectator_in_firefox.leave()

        left = await mock.journal.wait_for("rest", "DELETE /broadcast/{stream_id}/whep/{resource}")
        assert left.data["status"] == 200
        assert set(live.frames_encoded) == {"h264", "vp8"}


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_invalid_requests_of_firefox_are_rejected(in_firefox: OfficialClient, mock: MockOdyssey) -> None:
    error = await in_firefox.connect_error("ody_invalid_key")
    assert error is not None
    assert error["message"] == "Invalid API key"
    async with Odyssey(mock.api_key, api_url=mock.url) as host:
        await host.connect()
        live = mock.broadcasts[await host.start_stream("A temple", broadcast=True)]

        assert await in_firefox.watch(live.webrtc_url, "not-the-token")


@pytest.mark.odyssey(stale_session=40, portrait_size=(176, 320))
async def test_tab_left_in_firefox_keeps_its_session(in_firefox: OfficialClient, mock: MockOdyssey) -> None:
    connection = await in_firefox.connect(mock.api_key)

    await in_firefox.page.goto("about:blank")

    left = await mock.wait_for("state", "session", session=connection["sessionId"], event="socket_abandoned")
    assert left.data["to"] == "stale"
    mock.expect_none("client_disconnecting")


SHOWN = """new Promise((resolve) => {
  const look = () => {
    if (!document.querySelector(".thumbnail")?.naturalWidth) return setTimeout(look, 20);
    const title = document.querySelector("h1").textContent;
    resolve(JSON.stringify([title, document.querySelectorAll("[role=option]").length > 10]));
  };
  look();
})"""


async def test_trace_viewer_opens_from_disk(running_firefox: Firefox, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(viewer_page(sample_traces.failed_assertion()), encoding="utf-8")
    async with running_firefox.new_page() as page:
        await page.goto(file.as_uri())
        shown = json.loads(await page.text_of(SHOWN))

    assert shown == [sample_traces.TITLE, True]
    assert page.console == []


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_console_counts_the_frames_of_a_session(
    in_firefox: OfficialClient, running_firefox: Firefox, mock: MockOdyssey
) -> None:
    await in_firefox.connect(mock.api_key)
    await in_firefox.start_stream("A cat on a windowsill")
    async with running_firefox.new_page() as page:
        await page.goto(f"{mock.url}/_mock/console/#/sessions")
        await wait_until(page, FRAMES_PER_SECOND)
        shown = await page.evaluate(FRAMES_PER_SECOND)

    assert 0 < shown < 2 * mock.settings.fps
