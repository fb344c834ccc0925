"""The clients of `bench sessions`, which run in a process of their own, so that their CPU time is not counted.

The clients decode no video: a decoder costs more than the mock. They note when each frame arrives.

`ClientProcess` starts the process. The process reads one JSON list per line from standard input, the name of a method
of `_Clients` with its arguments, and writes its result.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from typing import Any, NamedTuple, override

import av
import av.frame
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    rtcrtpreceiver,
)
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame

from odyssey_client import MediaStream, Odyssey
from odyssey_mock.bench.arrivals import Arrivals
from odyssey_mock.bench.plain_sender import PROMPT, Answer
from odyssey_mock.core.strict_json import JSON

LIMIT = 60.0
"""Timeout in seconds of each command."""


class Watched(NamedTuple):
    """What all clients have received in a window of time."""

    frames: int
    on_time: float
    """The share of the frames that were on time, at most 1; see `Arrivals`."""


class ClientProcess:
    """The process with the clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def join(self, url: str, api_key: str, count: int) -> None:
        """Connect `count` more clients to a mock."""
        await self._do("join", url, api_key, count)

    async def start(self) -> None:
        """Start a stream with each client of a mock that has none yet."""
        await self._do("start")

    async def join_plain(self, answer: Answer, count: int) -> None:
        """Connect `count` more bare peers, whose offers `answer` answers."""
        for _ in range(count):
            offer = await self._do("offer")
            await self._do("answered", await answer(str(offer)))

    async def watch(self, seconds: float) -> Watched:
        """Return what all clients receive during the next `seconds`."""
        frames, on_time = await self._do("watch", seconds)
        return Watched(frames, on_time)

    async def leave(self) -> None:
        """Disconnect all clients."""
        await self._do("leave")

    async def _do(self, *command: JSON) -> Any:  # Any: JSON, whose type depends on the command
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        async with asyncio.timeout(LIMIT):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"expected a result of {command[0]!r}, but the process of the clients has ended")
        return json.loads(line)


@asynccontextmanager
async def client_process(processors: Sequence[int]) -> AsyncIterator[ClientProcess]:
    """Run the clients in a process during the block, only on `processors` if there are any."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "odyssey_mock.bench.session_clients",
        *map(str, processors),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield ClientProcess(process)
        process.stdin.close()
        async with asyncio.timeout(LIMIT):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class _NoDecoder(Decoder):
    """Returns a tiny picture for each frame."""

    @override
    def decode(self, encoded_frame: JitterFrame) -> list[av.frame.Frame]:
        picture = av.VideoFrame(16, 16, "yuv420p")
        picture.pts, picture.time_base = encoded_frame.timestamp, Fraction(1, 90_000)
        return [picture]


class _Clients:
    """The clients in their process."""

    def __init__(self) -> None:
        self._resources = AsyncExitStack()
        self._readers: list[_Reader] = []
        self._waiting: list[Odyssey] = []
        """Clients of a mock that have not started a stream."""
        self._peer: RTCPeerConnection | None = None
        """The bare peer that waits for an answer."""

    async def join(self, url: str, api_key: str, count: int) -> None:
        for _ in range(count):
            client = await self._resources.enter_async_context(Odyssey(api_key, api_url=url))
            await self._read(_client_timestamps(await client.connect()))
            self._waiting.append(client)

    async def start(self) -> None:
        await asyncio.gather(*(client.start_stream(PROMPT) for client in self._waiting))
        self._waiting.clear()

    async def offer(self) -> str:
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._resources.push_async_callback(self._peer.close)
        self._peer.addTransceiver("video", direction="recvonly")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return str(self._peer.localDescription.sdp)

    async def answered(self, answer: str) -> None:
        assert self._peer is not None
        (receiver,) = self._peer.getReceivers()
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await self._read(_track_timestamps(receiver.track))

    async def watch(self, seconds: float) -> tuple[int, float]:
        for reader in self._readers:
            reader.arrivals.clear()
        await asyncio.sleep(seconds)  # noqa: TID251 - video flows in real time
        arrivals = [reader.arrivals for reader in self._readers]
        return sum(map(len, arrivals)), sum(each.on_time(seconds) for each in arrivals) / len(arrivals)

    async def leave(self) -> None:
        for reader in self._readers:
            reader.task.cancel()
        await asyncio.gather(*(reader.task for reader in self._readers), return_exceptions=True)
        await self._resources.aclose()
        self._readers.clear()
        self._waiting.clear()

    async def _read(self, timestamps: AsyncIterator[float]) -> None:
        """Note each frame from now on; return when the first one has arrived."""
        reader = _Reader(timestamps)
        self._readers.append(reader)
        await reader.begun


class _Reader:
    """Notes the arrivals of the frames of one video."""

    def __init__(self, timestamps: AsyncIterator[float]) -> None:
        self.arrivals = Arrivals()
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.task = loop.create_task(self._run(timestamps))

    async def _run(self, timestamps: AsyncIterator[float]) -> None:
        loop = asyncio.get_running_loop()
        async for timestamp in timestamps:
            self.arrivals.note(timestamp, loop.time())
            if not self.begun.done():
                self.begun.set_result(None)


async def _client_timestamps(stream: MediaStream) -> AsyncIterator[float]:
    async for frame in stream:
        yield frame.timestamp_ms / 1000


async def _track_timestamps(track: MediaStreamTrack) -> AsyncIterator[float]:
    while True:
        frame = await track.recv()
        assert isinstance(frame, av.VideoFrame)
        yield float(frame.time or 0.0)


async def _main() -> None:
    """Carry out the commands of `ClientProcess` until standard input ends."""
    clients = _Clients()
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *arguments = json.loads(line)
        result: JSON = await getattr(clients, name)(*arguments)
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:]:
        os.sched_setaffinity(0, map(int, sys.argv[1:]))
    vars(rtcrtpreceiver)["get_decoder"] = lambda _codec: _NoDecoder()
    asyncio.run(_main())
