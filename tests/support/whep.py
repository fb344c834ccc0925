"""A spectator of the wire itself: httpx, an aiortc peer, and not a line of ours between."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from tests.support.raw import LIMIT, RawPeer, raw_peer
from tests.support.streams import START

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


@dataclass(frozen=True)
class Live:
    """A broadcast that is on, with the host that streams it."""

    mock: MockOdyssey
    host: RawPeer
    stream_id: str
    ready: Mapping[str, Any]  # `broadcast_ready` as it came

    @property
    def whep(self) -> str:
        return f"{self.ready['webrtc_url']}/whep"

    @property
    def token(self) -> str:
        return str(self.ready["spectator_token"])

    @property
    def frames(self) -> int | None:
        """How many frames the stream had; None while it is on."""
        return self.mock.streams[self.stream_id].timeline.frames

    async def end(self) -> None:
        self.host.say({"type": "interactive_stream_end"})
        assert await self.host.hear() == {"type": "stream_ended"}
        await self.mock.wait_for("state", "broadcast", to="over", stream=self.stream_id)


async def go_live(mock: MockOdyssey, host: RawPeer, **fields: object) -> Live:
    """Start a broadcast."""
    host.say({**START, "broadcast": True, **fields})
    started, ready = await host.hear(), await host.hear()
    assert (started["type"], ready["type"]) == ("stream_started", "broadcast_ready")
    return Live(mock, host, started["stream_id"], ready)


@asynccontextmanager
async def live(mock: MockOdyssey, **fields: object) -> AsyncIterator[Live]:
    """A host, and its broadcast."""
    async with raw_peer(mock) as host:
        yield await go_live(mock, host, **fields)


@dataclass(eq=False)
class RawSpectator:
    """An aiortc peer that watches; `kinds` are the media sections that it offers to receive."""

    broadcast: Live
    kinds: tuple[str, ...] = ("video", "audio")
    codec: str | None = None
    """`H264` or `VP8` where it is to take that one alone."""
    connection: RTCPeerConnection = field(default_factory=lambda: RTCPeerConnection(RTCConfiguration(iceServers=[])))
    answer: httpx.Response = field(init=False)

    @property
    def track(self) -> MediaStreamTrack:
        return next(r.track for r in self.connection.getReceivers() if r.track.kind == "video")

    @property
    def resource(self) -> str:
        return self.broadcast.mock.url + self.answer.headers["Location"]

    async def offer(self) -> str:
        for kind in self.kinds:
            transceiver = self.connection.addTransceiver(kind, direction="recvonly")
            if kind == "video" and self.codec is not None:
                known = RTCRtpReceiver.getCapabilities("video")
                assert known is not None
                transceiver.setCodecPreferences([each for each in known.codecs if each.name == self.codec])
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def __aenter__(self) -> Self:
        async with httpx.AsyncClient(trust_env=False) as http:
            self.answer = await http.post(
                self.broadcast.whep, params={"token": self.broadcast.token}, headers=SDP, content=await self.offer()
            )
        assert self.answer.status_code == 201, self.answer.text
        await self.connection.setRemoteDescription(RTCSessionDescription(self.answer.text, "answer"))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.connection.close()

    async def frame(self) -> VideoFrame:
        async with asyncio.timeout(LIMIT):
            frame = await self.track.recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def stamp(self) -> FrameStamp:
        """The stamp of the next frame."""
        stamp = read_stamp((await self.frame()).to_ndarray(format="gray"))
        assert stamp is not None
        return stamp

    async def stamps(self) -> list[FrameStamp]:
        """The stamps of all frames to the end."""
        read: list[FrameStamp] = []
        while True:
            try:
                read.append(await self.stamp())
            except MediaStreamError:
                return read

    async def closed(self) -> None:
        """Wait until the mock has closed the connection."""
        async with asyncio.timeout(LIMIT):
            while self.connection.connectionState != "closed":
                changed = asyncio.Event()
                self.connection.once("connectionstatechange", changed.set)
                await changed.wait()
