"""Tests of the official JavaScript client as host and as spectator of broadcasts."""

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.http.endpoint import OwnEndpoint
from odyssey_mock.system_network import SystemNetwork
from tests.contract.browser import chromium
from tests.contract.browser.conftest import page_of_ours
from tests.contract.browser.official_client import OfficialClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 30.0
"""Timeout in seconds for every wait. Waits usually take much less."""


async def watched(official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey) -> Broadcast:
    """Start a broadcast, and return it when the spectator sees its first scene."""
    await official.connect(mock.api_key)
    live = mock.broadcasts[await official.start_broadcast("A temple")]
    assert await spectator.watch(live.webrtc_url, live.token) is None
    await spectator.frame_showing(0)
    return live


async def test_documented_host_and_spectator_example_works(
    official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey
) -> None:
    await official.connect(mock.api_key)
    stream_id = await official.start_broadcast("A floating alien temple")
    info = await official.broadcast()
    live = mock.broadcasts[stream_id]
    assert (info["webrtcUrl"], info["spectatorToken"], info["hlsUrl"]) == (live.webrtc_url, live.token, live.hls_url)

    assert await spectator.watch(info["webrtcUrl"], info["spectatorToken"]) is None
    first = await spectator.frame_showing(0)
    before = await spectator.playback()
    await official.interact("The temple lights up")
    later = await spectator.frame_showing(1)
    after = await spectator.playback()

    tag = mock.streams[stream_id].timeline.tag
    assert first.stamp is not None
    assert later.stamp is not None
    assert first.stamp.stream_tag == later.stamp.stream_tag == tag
    assert after["currentTime"] > before["currentTime"]
    assert after["framesDecoded"] > before["framesDecoded"]
    assert (after["width"], after["height"]) == (704, 1280)
    host = await official.frame_showing(1)
    assert host.stamp is not None
    assert host.stamp.stream_tag == tag, (
        f"expected the host to receive its own stream with the tag {tag}, got the tag {host.stamp.stream_tag}"
    )

    assert await spectator.events("broadcast_ended") == []
    await official.end_stream()
    await mock.wait_for("state", "spectator", SECONDS, to="gone")
    await official.disconnect()  # Chromium notices the end after some seconds, in which the host would get more video
    await spectator.happened("broadcast_ended", SECONDS)
    assert live.frames_encoded == {"h264": mock.streams[stream_id].timeline.frames}


async def test_clients_work_below_a_path_prefix(
    pages: chromium.Pages, page_url: str, request: pytest.FixtureRequest
) -> None:
    async with (
        OwnEndpoint(SystemNetwork(), "127.0.0.1", 0) as endpoint,
        MockOdyssey(endpoint=endpoint, public_url=f"{endpoint.base_url}/mock", portrait_size=(176, 320)) as mock,
        page_of_ours(pages, page_url, mock, request) as official,
        page_of_ours(pages, page_url, mock, request) as spectator,
    ):
        await official.connect(mock.api_key)
        await official.start_broadcast("A temple")
        info = await official.broadcast()
        assert info["webrtcUrl"].startswith(f"{endpoint.base_url}/mock/broadcast/")
        assert await spectator.watch(info["webrtcUrl"], info["spectatorToken"]) is None
        await spectator.frame_showing(0)
        await spectator.leave()
        await mock.wait_for("rest", "DELETE /broadcast/{stream_id}/whep/{resource}", SECONDS, status=200)


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_host_keeps_streaming_after_spectator_leaves(
    official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey
) -> None:
    live = await watched(official, spectator, mock)
    assert len(live.spectators) == 1
    await spectator.leave()
    await mock.wait_for("state", "spectator", SECONDS, to="gone")
    assert len(live.spectators) == 0
    await official.interact("The door opens")
    await official.frame_showing(1)


@pytest.mark.odyssey(portrait_size=(176, 320), fps=10)
async def test_spectator_learns_the_end_while_host_stays_connected(
    official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey
) -> None:
    await watched(official, spectator, mock)
    await official.end_stream()
    await spectator.happened("broadcast_ended", SECONDS)
    assert await official.events("disconnected") == []
    assert len(mock.sessions) == 1


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_invalid_spectator_requests_reject_connect_to_stream(
    official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey
) -> None:
    await official.connect(mock.api_key)
    live = mock.broadcasts[await official.start_broadcast("A temple")]
    assert await spectator.watch(live.webrtc_url, "not-the-token")
    assert await spectator.watch(f"{mock.url}/broadcast/no-such-stream", live.token)
    await official.end_stream()
    assert await spectator.watch(live.webrtc_url, live.token), (
        "expected connectToStream() to fail with a message, because the broadcast has ended, but it succeeded"
    )


async def test_our_client_watches_official_host(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    live = mock.broadcasts[await official.start_broadcast("A temple")]
    async with await Odyssey.connect_to_stream(live.webrtc_url, live.token) as watching:
        frame = await anext(watching.frames())
        assert (frame.width, frame.height) == (704, 1280)


async def test_official_spectator_watches_our_client(spectator: OfficialClient, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as host:
        await host.connect()
        live = mock.broadcasts[await host.start_stream("A temple", portrait=False, broadcast=True)]
        assert await spectator.watch(live.webrtc_url, live.token) is None
        assert (await spectator.frame_showing(0)).size == (1280, 704)
    await spectator.happened("broadcast_ended", SECONDS)
