"""`bench latency`: the age of a frame when its reader gets it, compared with the same video read through plain aiortc.

The stamp of a frame has the time at which the mock created the frame. In each round, the client reads some frames of
its stream. Then a bare aiortc peer, which is connected over WHEP, reads as many frames of the same stream.
"""

import asyncio
import ssl
import statistics
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import av
import httpx
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from odyssey_client import MediaStream, Odyssey, VideoFrame
from odyssey_client.media.stamp import read_stamp
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey

TARGET = 0.3
ROUNDS, FRAMES = 5, 100
QUICK_ROUNDS, QUICK_FRAMES = 1, 25
"""Number of rounds, and of the frames of each side in a round. The mock sends 20 frames per second."""
SKIPPED = 10
"""Number of frames of each side that are not counted, because the connection is new."""
LIMIT = 60.0
"""Timeout in seconds of one side of a round."""
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The context of clients that only send requests over HTTP: httpx does not load the certificates of the system."""


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the median and the 99th percentile of the ages of frames, measured in turns."""
    rounds, count = (QUICK_ROUNDS, QUICK_FRAMES) if quick else (ROUNDS, FRAMES)
    ours: list[Sequence[float]] = []
    plain: list[Sequence[float]] = []
    async with MockOdyssey(hls=False) as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
        stream = await client.connect()
        stream_id = await client.start_stream("A lighthouse in a storm")
        for _ in range(rounds):
            ours.append(await _ages(_client_frames(stream), mock, count))
            async with _bare_peer(f"{mock.url}/_mock/streams/{stream_id}/whep") as track:
                plain.append(await _ages(_track_frames(track), mock, count))
    return [
        Row(f"latency, p{percent}", _percentiles(ours, percent), _percentiles(plain, percent), "ms", TARGET)
        for percent in (50, 99)
    ]


def _percentiles(rounds: Sequence[Sequence[float]], percent: int) -> list[float]:
    """Return a percentile of the ages of each round."""
    return [statistics.quantiles(ages, n=100, method="inclusive")[percent - 1] for ages in rounds]


async def _ages(frames: AsyncGenerator[VideoFrame], mock: MockOdyssey, count: int) -> Sequence[float]:
    """Return the ages of `count` frames in milliseconds."""
    ages: list[float] = []
    async with asyncio.timeout(LIMIT), aclosing(frames):
        async for frame in frames:
            now = mock.clock.time() * 1000
            stamp = read_stamp(frame.luma)
            if stamp is None:
                raise RuntimeError("expected a stamp in each frame of the mock, got a frame without one")
            ages.append(now - stamp.sent_at_ms)
            if len(ages) == SKIPPED + count:
                break
    return ages[SKIPPED:]


async def _client_frames(stream: MediaStream) -> AsyncGenerator[VideoFrame]:
    reader = stream.frames()
    try:
        async for frame in reader:
            yield frame
    finally:
        reader.close()


async def _track_frames(track: MediaStreamTrack) -> AsyncGenerator[VideoFrame]:
    while True:
        frame = await track.recv()
        assert isinstance(frame, av.VideoFrame)
        yield VideoFrame(frame, 0.0)


@asynccontextmanager
async def _bare_peer(whep_url: str) -> AsyncIterator[MediaStreamTrack]:
    """Connect a bare aiortc peer to a stream; yield its track."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    try:
        receiver = peer.addTransceiver("video", direction="recvonly").receiver
        await peer.setLocalDescription(await peer.createOffer())
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES, timeout=LIMIT) as http:
            headers = {"Content-Type": "application/sdp"}
            answer = await http.post(whep_url, headers=headers, content=peer.localDescription.sdp)
        answer.raise_for_status()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
        yield receiver.track
    finally:
        await peer.close()
