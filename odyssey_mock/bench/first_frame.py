"""`bench first-frame`: the time until a client has the first decoded frame, compared with plain aiortc peers.

The client calls `connect()` and reads a frame of the idle scene. The plain peers exchange offer and answer; one of them
sends a track of the same size and frame rate, and the other one reads it. aiortc encodes it with its default encoder.
"""

import asyncio
from functools import partial

from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from odyssey_client import Odyssey
from odyssey_mock.bench.alternation import alternate, timed
from odyssey_mock.bench.plain_sender import Answer, plain_sender
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey

TARGET = 0.7
ROUNDS = 40
QUICK_ROUNDS = 10


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the times until a client and a plain peer have a frame, measured alternately."""
    async with MockOdyssey() as mock:
        samples = await alternate(partial(_ours, mock), _plain, QUICK_ROUNDS if quick else ROUNDS)
    return [Row("first frame", *samples, "ms", TARGET)]


async def _ours(mock: MockOdyssey) -> float:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:

        async def first_frame() -> None:
            stream = await client.connect()
            async for _ in stream.frames():
                break

        return await timed(first_frame)


async def _plain() -> float:
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    receivers: list[RTCPeerConnection] = []
    async with plain_sender() as answer:
        try:
            return await timed(partial(_first_plain_frame, answer, configuration, receivers))
        finally:
            for receiver in receivers:
                await receiver.close()


async def _first_plain_frame(
    answer: Answer, configuration: RTCConfiguration, receivers: list[RTCPeerConnection]
) -> None:
    receiver = RTCPeerConnection(configuration)
    receivers.append(receiver)
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    receiver.on("track", tracks.put_nowait)
    receiver.addTransceiver("video", direction="recvonly")
    await receiver.setLocalDescription(await receiver.createOffer())
    sdp = await answer(receiver.localDescription.sdp)
    await receiver.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
    await (await tracks.get()).recv()
