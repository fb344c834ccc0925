"""Plain aiortc senders, with which benchmarks compare the mock: each has its own track, which aiortc encodes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from typing import Any, override

import av
import numpy.typing as npt
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from odyssey_mock.bench.arrivals import FPS
from odyssey_mock.media.encoder import Codec
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.rtc.peer_connection import preferred_codecs
from odyssey_mock.sessions.frame_pump import Pacer

PROMPT = "A lighthouse in a storm"
PICTURES = 12
"""Number of different frames of a track: 16 MB."""

type Answer = Callable[[str], Awaitable[str]]
"""A function that returns the SDP answer to an SDP offer."""


@asynccontextmanager
async def plain_sender(codec: Codec | None = None) -> AsyncIterator[Answer]:
    """Yield a function that creates a bare aiortc peer with its own track for an SDP offer and returns its answer.

    `codec`: the codec of the video; by default the one that the offer prefers.
    """
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    pictures = _pictures()
    async with AsyncExitStack() as peers:

        async def answer(offer: str) -> str:
            peer = RTCPeerConnection(configuration)
            peers.push_async_callback(peer.close)
            transceiver = peer.addTransceiver(_Track(pictures), direction="sendonly")
            if codec is not None:
                transceiver.setCodecPreferences(preferred_codecs(codec))
            await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            return str(peer.localDescription.sdp)

        yield answer


class _Track(MediaStreamTrack):
    """A video track that sends prerendered frames, 20 per second; the first one at once.

    The frames are sent forwards and then backwards, in a loop, so that consecutive frames are always similar.
    """

    kind = "video"

    def __init__(self, pictures: Sequence[npt.NDArray[Any]]) -> None:
        super().__init__()
        # Each track has frames of its own, because aiortc's encoders, which run in threads, read and change them.
        frames = [av.VideoFrame.from_ndarray(each, format="yuv420p") for each in pictures]
        self._frames = [*frames, *reversed(frames[1:-1])]
        self._pacer: Pacer | None = None

    @override
    async def recv(self) -> av.VideoFrame:
        if self._pacer is None:
            self._pacer, slot = Pacer(FPS), 0
        else:
            slot = await self._pacer.next()
        frame = self._frames[slot % len(self._frames)]
        frame.pts, frame.time_base = slot, Fraction(1, FPS)
        return frame


def _pictures() -> Sequence[npt.NDArray[Any]]:  # Any: bytes
    """Return the first frames of a stream."""
    renderer = Renderer(Timeline(tag=1, size=Size(704, 1280), fps=FPS, prompt=PROMPT))
    return [renderer.render(index).to_ndarray() for index in range(PICTURES)]
