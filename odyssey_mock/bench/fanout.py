"""`bench fanout`: the cost of one more spectator in the mock, compared with one plain aiortc track per spectator.

The benchmark counts the CPU time of this process, which runs the mock and the plain tracks; the receivers run in a
subprocess. The CPU time without spectators is measured before each measurement with spectators, and subtracted from its
result. The mock and the plain tracks send the same frames in H.264. The mock sends packets of one shared encoder; each
plain track encodes prerendered frames with its own encoder.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import httpx
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from odyssey_client import BroadcastInfo, Odyssey
from odyssey_mock.bench.plain_sender import PROMPT, Answer, plain_sender
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey

TARGET = 0.25
SPECTATORS = 4
ROUNDS, WINDOW = 3, 4.0
QUICK_ROUNDS, QUICK_WINDOW = 1, 0.8
"""Number of alternating measurements, and the length of each measurement in seconds."""
LIMIT = 60.0
"""Timeout in seconds for spectators to connect or to leave."""


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the CPU time per spectator of the mock with that of plain tracks, measured alternately."""
    rounds, window = (QUICK_ROUNDS, QUICK_WINDOW) if quick else (ROUNDS, WINDOW)
    ours: list[float] = []
    plain: list[float] = []
    async with MockOdyssey(hls=False) as mock, Odyssey(mock.api_key, api_url=mock.url) as host:
        for _ in range(rounds):
            async with _broadcast(host) as info:
                ours.append(await _added(partial(_watching, info), window))
            plain.append(await _added(partial(plain_sender, "h264"), window))
    return [Row("fanout", ours, plain, "ms of CPU per second", TARGET)]


async def _added(spectators: Callable[[], AbstractAsyncContextManager[Answer]], window: float) -> float:
    """Return the CPU time that each spectator adds, in milliseconds per second."""
    without = await _cpu(window)
    async with spectators() as answer, _receivers(answer):
        return (await _cpu(window) - without) / SPECTATORS


async def _cpu(window: float) -> float:
    """Return the CPU time of this process in milliseconds per second, measured over `window` seconds."""
    loop = asyncio.get_running_loop()
    began, spent = loop.time(), time.process_time()
    over = loop.create_future()
    loop.call_later(window, over.set_result, None)
    await over
    return (time.process_time() - spent) * 1000 / (loop.time() - began)


@asynccontextmanager
async def _broadcast(host: Odyssey) -> AsyncIterator[BroadcastInfo]:
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    await host.connect(on_broadcast_ready=ready.set_result)
    try:
        await host.start_stream(PROMPT, broadcast=True)
        async with asyncio.timeout(LIMIT):
            info = await ready
        yield info
    finally:
        await host.disconnect()


@asynccontextmanager
async def _watching(info: BroadcastInfo) -> AsyncIterator[Answer]:
    """Yield a function that sends an SDP offer to the WHEP route of the mock and returns the SDP answer."""
    async with httpx.AsyncClient(trust_env=False) as http:

        async def answer(offer: str) -> str:
            answered = await http.post(
                f"{info.webrtc_url}/whep",
                params={"token": info.spectator_token},
                headers={"Content-Type": "application/sdp"},
                content=offer,
            )
            return answered.raise_for_status().text

        yield answer


@asynccontextmanager
async def _receivers(answer: Answer) -> AsyncIterator[None]:
    """Run all receivers in a subprocess until the block ends; enter the block once all receivers are connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "odyssey_mock.bench.fanout",
        str(SPECTATORS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            while (said := json.loads(await process.stdout.readline())) != "connected":
                process.stdin.write(json.dumps(await answer(said)).encode() + b"\n")
        yield
        process.stdin.write(b"null\n")
        async with asyncio.timeout(LIMIT):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# The receivers run in a subprocess, which executes this module, so that their CPU time is not counted.


async def receive(count: int) -> None:
    """Open `count` WebRTC connections that receive video, and receive until standard input has the line `null`.

    This is the main function of the subprocess. It writes one SDP offer per line to standard output, and reads one SDP
    answer per line from standard input, all as JSON strings. It writes `"connected"` once all connections are up.
    """
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    peers = [RTCPeerConnection(configuration) for _ in range(count)]
    try:
        connected = [_connected(peer) for peer in peers]
        for peer in peers:
            peer.addTransceiver("video", direction="recvonly")
            await peer.setLocalDescription(await peer.createOffer())
            _write(peer.localDescription.sdp)
            answer = await asyncio.to_thread(_read)
            await peer.setRemoteDescription(RTCSessionDescription(sdp=str(answer), type="answer"))
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*connected)
        _write("connected")
        async with asyncio.TaskGroup() as tasks:
            readers = [tasks.create_task(_read_frames(peer)) for peer in peers]
            await asyncio.to_thread(_read)
            for reader in readers:
                reader.cancel()
    finally:
        for peer in peers:
            await peer.close()


def _connected(peer: RTCPeerConnection) -> asyncio.Future[None]:
    reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def changed() -> None:
        if peer.connectionState == "connected" and not reached.done():
            reached.set_result(None)

    peer.on("connectionstatechange", changed)
    return reached


async def _read_frames(peer: RTCPeerConnection) -> None:
    # Read the track: otherwise it would buffer every frame.
    (receiver,) = peer.getReceivers()
    while True:
        await receiver.track.recv()


def _write(text: str) -> None:
    sys.stdout.write(json.dumps(text) + "\n")
    sys.stdout.flush()


def _read() -> object:
    line = sys.stdin.readline()
    return json.loads(line) if line else None


if __name__ == "__main__":
    asyncio.run(receive(int(sys.argv[1])))
