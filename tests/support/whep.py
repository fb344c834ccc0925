"""A protocol-level WHEP spectator made of httpx and aiortc, without `odyssey_client`."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RTCP_PSFB_FIR, RtcpPsfbPacket
from av import VideoFrame

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from tests.support.raw import LIMIT, RawPeer, raw_peer
from tests.support.stand_ins import opened
from tests.support.streams import START
from tests.support.tls_contexts import NO_CERTIFICATES

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


@dataclass(frozen=True)
class Live:
    """A live broadcast, and the peer that hosts it."""

    mock: MockOdyssey
    host: RawPeer
    stream_id: str
    ready: Mapping[str, Any]  # the `broadcast_ready` message

    @property
    def whep(self) -> str:
        return f"{self.ready['webrtc_url']}/whep"

    @property
    def token(self) -> str:
        return str(self.ready["spectator_token"])

    @property
    def frames(self) -> int | None:
        """The total number of frames of the stream, or None if the stream has not ended."""
        return self.mock.streams[self.stream_id].timeline.frames

    async def end(self) -> None:
        self.host.say({"type": "interactive_stream_end"})
        assert await self.host.hear() == {"type": "stream_ended"}
        await self.mock.wait_for("state", "broadcast", to="over", stream=self.stream_id)


async def go_live(mock: MockOdyssey, host: RawPeer, **fields: object) -> Live:
    """Start a broadcast from the connected peer `host`. `fields` are added to the start message."""
    host.say({**START, "broadcast": True, **fields})
    started, ready = await host.hear(), await host.hear()
    assert (started["type"], ready["type"]) == ("stream_started", "broadcast_ready")
    return Live(mock, host, started["stream_id"], ready)


@asynccontextmanager
async def live(mock: MockOdyssey, **fields: object) -> AsyncIterator[Live]:
    """Connect a host, and start and yield a broadcast. `fields` are added to the start message."""
    async with raw_peer(mock) as host:
        yield await go_live(mock, host, **fields)


@dataclass(frozen=True)
class Frameless:
    """A broadcast without host and frames, for tests of requests alone: a host takes 50 ms to connect."""

    stream_id: str
    whep: str
    token: str


def frameless(mock: MockOdyssey) -> Frameless:
    """Open a broadcast that has neither a host nor frames."""
    broadcast = opened(mock.backend)
    return Frameless(broadcast.stream_id, f"{broadcast.webrtc_url}/whep", broadcast.token)


@dataclass(eq=False)
class RawSpectator:
    """An aiortc peer that watches a broadcast. `kinds` are the media sections of its offer, in order."""

    broadcast: Live
    kinds: tuple[str, ...] = ("video", "audio")
    codec: str | None = None
    """The only video codec in the offer, `H264` or `VP8`. None offers all codecs."""
    edit: Callable[[str], str] = str
    """A function that edits the offer before it is sent."""
    connects: bool = True
    """Whether `async with` applies the server's answer. If false, the test calls `connect` to apply it."""
    connection: RTCPeerConnection = field(default_factory=lambda: RTCPeerConnection(RTCConfiguration(iceServers=[])))
    answer: httpx.Response = field(init=False)

    @property
    def receiver(self) -> RTCRtpReceiver:
        """The RTP receiver of the first video section."""
        return next(each.receiver for each in self.connection.getTransceivers() if each.kind == "video")

    @property
    def track(self) -> MediaStreamTrack:
        return self.receiver.track

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
        return self.edit(str(self.connection.localDescription.sdp))

    async def __aenter__(self) -> Self:
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            self.answer = await http.post(
                self.broadcast.whep, params={"token": self.broadcast.token}, headers=SDP, content=await self.offer()
            )
        try:
            assert self.answer.status_code == 201, (
                f"expected status 201 for the WHEP offer, got {self.answer.status_code}: {self.answer.text}"
            )
            if self.connects:
                await self.connect()
        except BaseException:
            await self.connection.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.connection.close()

    async def connect(self) -> None:
        """Apply the server's answer. The peer then connects in the background."""
        await self.connection.setRemoteDescription(RTCSessionDescription(self.answer.text, "answer"))

    async def frame(self) -> VideoFrame:
        async with asyncio.timeout(LIMIT):
            frame = await self.track.recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def stamp(self) -> FrameStamp:
        """Return the stamp of the next frame."""
        stamp = read_stamp((await self.frame()).to_ndarray(format="gray"))
        assert stamp is not None
        return stamp

    async def stamps(self) -> list[FrameStamp]:
        """Read frames until the track ends; return their stamps."""
        read: list[FrameStamp] = []
        while True:
            try:
                read.append(await self.stamp())
            except MediaStreamError:
                return read

    async def lose_picture(self) -> None:
        """Report a lost frame with a PLI (RFC 4585 section 6.3.1)."""
        await send_pli(self.connection)

    async def ask_for_refresh(self) -> None:
        """Request a key frame with a FIR (RFC 5104 section 4.3.1).

        The FIR entry contains the SSRC of the video. The packet header contains it too, because aiortc reads it there.
        """
        ssrc = video_ssrc(self.answer.text)
        entry = ssrc.to_bytes(4, "big") + bytes([1, 0, 0, 0])
        await self.receiver._send_rtcp(RtcpPsfbPacket(RTCP_PSFB_FIR, ssrc=1, media_ssrc=ssrc, fci=entry))

    async def closed(self) -> None:
        """Wait until the mock has closed the connection."""
        async with asyncio.timeout(LIMIT):
            while self.connection.connectionState != "closed":
                changed = asyncio.Event()
                self.connection.once("connectionstatechange", changed.set)
                await changed.wait()


def video_ssrc(sdp: str) -> int:
    """Return the SSRC of the video section in `sdp` (RFC 5576)."""
    found = re.search(r"m=video.*?a=ssrc:(\d+)", sdp, re.DOTALL)
    assert found is not None, f"expected an SSRC in the video section, got this SDP:\n{sdp}"
    return int(found[1])


async def send_pli(connection: RTCPeerConnection) -> None:
    """Send a PLI, which tells the sender of the video that a frame was lost."""
    (receiver,) = (each.receiver for each in connection.getTransceivers() if each.kind == "video")
    await receiver._send_rtcp_pli(video_ssrc(connection.remoteDescription.sdp))


def without_codec(sdp: str, name: str) -> str:
    """Return `sdp` without the payload types of the codec `name` and of its retransmissions."""
    gone = set(re.findall(rf"a=rtpmap:(\d+) {name}/", sdp))
    gone |= {rtx for rtx, codec in re.findall(r"a=fmtp:(\d+) apt=(\d+)", sdp) if codec in gone}
    lines = [line for line in sdp.split("\r\n") if not re.match(rf"a=(rtpmap|fmtp|rtcp-fb):({'|'.join(gone)}) ", line)]
    return "\r\n".join(
        " ".join(word for word in line.split(" ") if word not in gone) if line.startswith("m=video") else line
        for line in lines
    )
