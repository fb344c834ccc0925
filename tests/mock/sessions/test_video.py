"""Tests of the video that a peer receives: frames, codecs, key frames and channel delay."""

import asyncio
import json
import re
from typing import override

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame
from websockets.typing import Origin

from odyssey_mock import MockOdyssey, read_stamp
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_peer, raw_socket
from tests.support.streams import START, start


class WithoutH264(RTCPeerConnection):
    """A peer that ignores H.264 in the offer, like Firefox on Debian."""

    @override
    async def setRemoteDescription(self, sessionDescription: RTCSessionDescription) -> None:
        lines = sessionDescription.sdp.splitlines(keepends=True)
        unknown = set(re.findall(r"a=rtpmap:(\d+) H264/", sessionDescription.sdp))
        unknown |= {pt for pt, of in re.findall(r"a=fmtp:(\d+) apt=(\d+)", sessionDescription.sdp) if of in unknown}
        known = [line for line in lines if not re.match(rf"a=(rtpmap|fmtp|rtcp-fb):({'|'.join(unknown)}) ", line)]
        video = next(line for line in known if line.startswith("m=video "))
        known[known.index(video)] = " ".join(word for word in video.split(" ") if word.strip() not in unknown) + "\r\n"
        await super().setRemoteDescription(RTCSessionDescription(sdp="".join(known), type="offer"))


async def picture_of(peer: RawPeer) -> VideoFrame:
    assert peer.track is not None
    async with asyncio.timeout(LIMIT):
        frame = await peer.track.recv()
    assert isinstance(frame, VideoFrame)
    return frame


@pytest.mark.parametrize(("kind", "codec"), [(RTCPeerConnection, "H264"), (WithoutH264, "VP8")])
async def test_peer_gets_whole_stream_in_supported_codec(
    odyssey_mock: MockOdyssey, kind: type[RTCPeerConnection], codec: str
) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    connection = kind(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    async with raw_socket(session, token) as socket, RawPeer(socket, connection) as peer:
        stream = await start(peer)
        tag = odyssey_mock.streams[stream].timeline.tag
        seen: list[int] = []
        while len(seen) < 5:
            stamp = read_stamp((await picture_of(peer)).to_ndarray(format="gray"))
            assert stamp is not None
            seen += [stamp.frame_index] if stamp.stream_tag == tag else []
        assert seen == [0, 1, 2, 3, 4]
        assert f" {codec}/90000" in connection.localDescription.sdp
        assert codec == "H264" or " H264/" not in connection.localDescription.sdp


async def test_pli_is_followed_by_a_key_frame(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        while (await picture_of(peer)).key_frame:
            pass
        receiver = peer.connection.getReceivers()[0]
        (ssrc,) = {source.source for source in receiver.getSynchronizationSources()}
        await receiver._send_rtcp_pli(ssrc)
        assert any([(await picture_of(peer)).key_frame for _ in range(10)]), (
            "expected a key frame within 10 frames of the PLI, got none (regular key frames are 40 frames apart)"
        )


async def test_start_before_the_answer_is_acknowledged_later(
    odyssey_mock: MockOdyssey,
) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    async with raw_socket(session, token) as socket:
        await socket.send(json.dumps(START))
        await socket.send(json.dumps(START))
        async with RawPeer(socket) as peer:
            assert (await peer.hear())["reason"] == "stream_already_active"
            started = await peer.hear()
            assert started["type"] == "stream_started"
            tag = odyssey_mock.streams[started["stream_id"]].timeline.tag
            while (stamp := read_stamp((await picture_of(peer)).to_ndarray(format="gray"))) and stamp.stream_tag != tag:
                pass
            assert stamp is not None


@pytest.mark.odyssey(channel_delay=3600)
async def test_browser_gets_video_before_delayed_channels(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    async with raw_socket(session, token, origin=Origin("https://app.example")) as socket:
        peer = RawPeer(socket)
        async with asyncio.TaskGroup() as tasks:
            entering = tasks.create_task(peer.__aenter__())
            await odyssey_mock.wait_for("state", "session", to="connected")
            for _ in range(5):
                await picture_of(peer)
            assert peer.channels == {}
            entering.cancel()
        await peer.connection.close()


@pytest.mark.odyssey(channel_delay=3600)
async def test_other_clients_get_channels_without_delay(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        assert list(peer.channels) == ["streamerToClient", "clientToStreamer"]
