"""`bench first-frame`: the time until a client has the first decoded frame, compared with plain aiortc peers.

The client calls `connect()` and reads a frame of the idle scene. The plain peers exchange offer and answer; one of them
sends a track of the same size and frame rate, and the other one reads it. aiortc encodes it with its default encoder.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from odyssey_client import Odyssey
from odyssey_mock.bench.plain_sender import Answer, plain_sender
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey

TARGET = 0.7
ROUNDS = 40
QUICK_ROUNDS = 10
LIMIT = 30.0
"""Timeout of one connection attempt in seconds, far above its usual duration."""


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the times until a client and a plain peer have a frame, measured alternately."""
    ours: list[float] = []
    plain: list[float] = []
    async with MockOdyssey() as mock:
        await _ours(mock)
        await _plain()
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            ours.append(await _ours(mock))
            plain.append(await _plain())
    return [Row("first frame", ours, plain, "ms", TARGET)]


async def _ours(mock: MockOdyssey) -> float:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:

        async def first_frame() -> None:
            stream = await client.connect()
            async for _ in stream.frames():
                break

        return await _timed(first_frame)


async def _plain() -> float:
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    receivers: list[RTCPeerConnection] = []
    async with plain_sender() as answer:
        try:
            return await _timed(partial(_first_plain_frame, answer, configuration, receivers))
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


async def _timed(action: Callable[[], Awaitable[object]]) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(LIMIT):
        await action()
    return (loop.time() - started) * 1000
