"""Tests of monitors: the console watches any running stream over real WebRTC, and no client can tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import override

import httpx
import pytest

from odyssey_client import connect_to_stream
from odyssey_mock import MockOdyssey
from odyssey_mock.broadcasts import monitors
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, RawPeer, raw_peer
from tests.support.simulations import finished_stream
from tests.support.streams import START
from tests.support.visits import visits
from tests.support.whep import SDP, Live, RawSpectator, go_live

pytestmark = pytest.mark.odyssey(portrait_size=(88, 160))


@dataclass(frozen=True)
class Watched(Live):
    """A running stream as monitors watch it."""

    @property
    @override
    def whep(self) -> str:
        return f"{self.mock.url}/_mock/streams/{self.stream_id}/whep"

    @property
    @override
    def token(self) -> str:
        return "unused"


async def started(mock: MockOdyssey, host: RawPeer) -> Watched:
    host.say(START)
    return Watched(mock, host, (await host.hear())["stream_id"], {})


@asynccontextmanager
async def running(mock: MockOdyssey) -> AsyncIterator[Watched]:
    """Connect a host, and start a stream that is no broadcast."""
    async with raw_peer(mock) as host:
        yield await started(mock, host)


async def offer_to(stream: Watched) -> str:
    """Return the offer of a monitor that does not connect."""
    monitor = RawSpectator(stream)
    try:
        return await monitor.offer()
    finally:
        await monitor.connection.close()


@pytest.mark.odyssey(portrait_size=(88, 160), broadcast_spectators=0, spectators=0, clock="manual")
async def test_monitor_sees_the_frames_and_leaves_no_trace(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    async with running(odyssey_mock) as stream:
        before = (await http.get("/_mock/state")).json(), odyssey_mock.journal.next_index
        async with RawSpectator(stream, ("video",)) as monitor:
            seen = [await monitor.stamp() for _ in range(5)]
            # The limits of spectators, and the clock that stands still, do not apply.
            assert ((await http.get("/_mock/state")).json(), odyssey_mock.journal.next_index) == before
            assert not odyssey_mock.broadcasts
            left = await http.delete(monitor.resource)
            assert (left.status_code, (await http.delete(monitor.resource)).status_code) == (204, 404)
            await monitor.closed()
        assert odyssey_mock.journal.next_index == before[1]
    assert [stamp.frame_index for stamp in seen] == list(range(seen[0].frame_index, seen[0].frame_index + 5))
    assert {stamp.stream_tag for stamp in seen} == {odyssey_mock.streams[stream.stream_id].timeline.tag}


@pytest.mark.odyssey(ice_servers=[{"urls": "turn:192.0.2.7", "username": "anna", "credential": "secret"}])
async def test_options_name_the_ice_servers(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    before = odyssey_mock.journal.next_index
    told = await http.options("/_mock/streams/any/whep")
    assert (told.status_code, told.headers["Accept-Post"]) == (204, "application/sdp")
    assert told.headers["Link"] == (
        '<turn:192.0.2.7>; rel="ice-server"; username="anna"; credential="secret"; credential-type="password"'
    )
    assert odyssey_mock.journal.next_index == before


async def test_monitor_of_a_broadcast_is_no_spectator(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as host:
        live = await go_live(odyssey_mock, host)
        broadcast = odyssey_mock.broadcasts[live.stream_id]
        async with RawSpectator(live) as spectator, RawSpectator(Watched(odyssey_mock, host, live.stream_id, {})) as it:
            assert (await spectator.stamp()).stream_tag == (await it.stamp()).stream_tag
            assert (broadcast.audience_size, [*broadcast.frames_encoded]) == (1, ["h264"])


@pytest.mark.parametrize(("codec", "encoded"), [("H264", ["h264"]), ("VP8", ["h264", "vp8"])])
async def test_codec_is_one_that_is_encoded_already(codec: str, encoded: list[str], odyssey_mock: MockOdyssey) -> None:
    """The host receives H.264. A monitor that supports only VP8 gets VP8."""
    async with raw_peer(odyssey_mock) as host:
        live = await go_live(odyssey_mock, host)
        async with RawSpectator(Watched(odyssey_mock, host, live.stream_id, {}), ("video",), codec) as monitor:
            await monitor.stamp()
        assert [*odyssey_mock.broadcasts[live.stream_id].frames_encoded] == encoded


async def test_monitor_sees_the_stream_to_its_end(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    async with running(odyssey_mock) as stream:
        async with nothing_left(), RawSpectator(stream) as monitor:
            first = await monitor.stamp()
            stream.host.say({"type": "interactive_stream_end"})
            assert await stream.host.hear() == {"type": "stream_ended"}
            last = [first, *await monitor.stamps()][-1]
            # aiortc returns a frame only when the next one begins.
            assert last.frame_index == (stream.frames or 0) - 2
            await monitor.closed()
        refused = await http.post(stream.whep, headers=SDP, content="v=0")
        assert refused.status_code == 404
        assert "expected the id of a running stream" in refused.json()["detail"]
        # The next stream of the session can be watched.
        async with RawSpectator(await started(odyssey_mock, stream.host)) as monitor:
            await monitor.stamp()


async def test_monitor_watches_while_the_client_is_away(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        stream = await started(odyssey_mock, peer)
        await to.lose(peer.socket)
        async with RawSpectator(stream) as monitor:
            seen = [(await monitor.stamp()).frame_index for _ in range(5)]
        assert seen == list(range(seen[0], seen[0] + 5))


async def test_client_of_the_project_can_monitor(odyssey_mock: MockOdyssey) -> None:
    async with (
        running(odyssey_mock) as stream,
        await connect_to_stream(f"{odyssey_mock.url}/_mock/streams/{stream.stream_id}", "none") as spectator,
        asyncio.timeout(LIMIT),
    ):
        async for frame in spectator.frames():
            assert frame.data.shape[1] == 88
            break


async def test_exposed_mock_needs_the_control_token() -> None:
    async with (
        MockOdyssey(host="0.0.0.0", portrait_size=(88, 160), loopback_only=True) as mock,
        running(mock) as stream,
    ):
        url = f"{mock.url}/_mock/streams/{stream.stream_id}"
        async with await connect_to_stream(url, mock.control_token) as spectator, asyncio.timeout(LIMIT):
            async for _ in spectator.frames():
                break


async def test_monitors_take_no_ids_of_the_seed() -> None:
    async def ids(*, watches: bool) -> list[str]:
        async with MockOdyssey(seed=1, portrait_size=(88, 160)) as mock, running(mock) as stream:
            if watches:
                async with RawSpectator(stream) as monitor:
                    await monitor.stamp()
            stream.host.say({"type": "interactive_stream_end"})
            await stream.host.hear()
            return [stream.stream_id, (await started(mock, stream.host)).stream_id]

    assert await ids(watches=True) == await ids(watches=False)


async def test_monitors_above_the_limit_are_refused(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitors, "MONITORS", 1)
    async with running(odyssey_mock) as stream, RawSpectator(stream, connects=False) as monitor:
        offer = await offer_to(stream)
        refused = await http.post(stream.whep, headers=SDP, content=offer)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "at most 1 open videos" in refused.json()["detail"]
        await http.delete(monitor.resource)
        assert (await http.post(stream.whep, headers=SDP, content=offer)).status_code == 201


async def test_mock_ends_while_monitors_watch() -> None:
    async with AsyncExitStack() as stack:
        async with MockOdyssey(portrait_size=(88, 160)) as mock:
            host = await stack.enter_async_context(raw_peer(mock))
            for is_before_reset in (True, False):
                stream = await started(mock, host)
                watching = [await stack.enter_async_context(RawSpectator(stream)) for _ in range(2)]
                await asyncio.gather(*(each.stamp() for each in watching))
                if is_before_reset:
                    await mock.reset()
                    host = await stack.enter_async_context(raw_peer(mock))
        await asyncio.gather(*(each.closed() for each in watching))


async def test_invalid_offer_is_refused(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    async with running(odyssey_mock) as stream:
        for status, headers, content in (
            (415, {"Content-Type": "text/plain"}, b"v=0"),
            (406, {**SDP, "Accept": "text/html"}, b"v=0"),
            (400, SDP, b"v=0"),
            (400, SDP, b"\xff"),
            (413, SDP, b"v" * 300_000),
        ):
            refused = await http.post(stream.whep, headers=headers, content=content)
            assert (refused.status_code, [*refused.json()]) == (status, ["detail"]), f"{headers}, {content[:9]!r}"


@pytest.mark.odyssey(portrait_size=(88, 160), simulation_dispatch_delay=0, simulation_start_delay=0, simulation_pace=0)
async def test_simulated_stream_cannot_be_monitored(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    stream_id = await finished_stream(authorized, odyssey_mock)
    refused = await authorized.post(f"/_mock/streams/{stream_id}/whep", headers=SDP, content="v=0")
    assert refused.status_code == 404


async def test_answer_that_comes_too_late_is_an_error(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.broadcasts.spectator.ANSWER_LIMIT", 0)
    async with running(odyssey_mock) as stream:
        refused = await http.post(stream.whep, headers=SDP, content=await offer_to(stream))
        assert (refused.status_code, [*refused.json()]) == (503, ["detail"])
