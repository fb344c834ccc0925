"""The WebRTC peer of a spectator; it offers to receive and applies the answer (protocol.md section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import ClassVar, override

from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from odyssey_client.errors import OdysseyConfigError, PeerError, excerpt
from odyssey_client.platform import Clock, IceServer
from odyssey_client.rtc.ice import ice_transports
from odyssey_client.rtc.peer_connection import PeerConnection
from odyssey_client.rtc.remote_sdp import check_sdp
from odyssey_client.rtc.server_candidates import TlsContext


class AiortcSpectatorPeer(PeerConnection):
    """A peer that receives the video of a broadcast.

    An async context manager; on exit, all tasks, threads and sockets of its `RTCPeerConnection` have ended.
    """

    name: ClassVar[str] = "peer connection to the broadcast"

    def __init__(
        self,
        addresses: list[str] | None,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[VideoFrame], None],
        lost: Callable[[PeerError], None],
        tls: TlsContext,
    ) -> None:
        """Create the peer; all callbacks run on the event loop.

        ``ended`` is called when the service closes the connection, ``lost`` when the connection fails.
        """
        super().__init__(addresses, clock, frame=frame, lost=lost, tls=tls)
        self._connected = connected
        self._ended = ended
        self._drains: set[asyncio.Task[None]] = set()

    async def offer(self, ice_servers: Iterable[IceServer]) -> str:
        """Return an SDP offer to receive video and audio. The offer includes all candidates.

        Raises:
            PeerError: the offer cannot be created.
            OdysseyConfigError: a TURN server needs TLS, and a file with root certificates cannot be used.
        """
        try:
            return await self._within(self._offer(ice_servers))
        except OdysseyConfigError:
            raise
        except Exception as error:
            failure = PeerError(f"Cannot create an SDP offer: {type(error).__name__}: {excerpt(str(error))}")
        raise failure  # outside of `except`, as in `apply`

    async def apply(self, answer: str) -> None:
        """Apply the SDP ``answer``. The result is reported by the callbacks ``connected``, ``ended`` and ``lost``.

        Raises:
            PeerError: the answer cannot be applied, or has no video.
        """
        try:
            description = RTCSessionDescription(check_sdp(answer), "answer")
            await self._within(self._connection.setRemoteDescription(description))
            if self._video is None:
                raise ValueError("the answer has no video track")
        except Exception as error:
            failure = PeerError(
                f"The service's answer cannot be applied: {type(error).__name__}: {excerpt(str(error))}"
            )
        else:
            return
        raise failure  # outside of `except`: the context would quote the answer

    async def _offer(self, ice_servers: Iterable[IceServer]) -> str:
        connection = self._connection
        for kind in ("video", "audio"):
            connection.addTransceiver(kind, direction="recvonly")
        self._gather(ice_servers)
        await connection.setLocalDescription(await connection.createOffer())
        return str(connection.localDescription.sdp)

    @override
    def _track_added(self, track: MediaStreamTrack) -> None:
        super()._track_added(track)
        if track is not self._video:
            # Read and discard it: a track that is not read buffers every frame.
            drain = asyncio.get_running_loop().create_task(_drain(track), context=self._context)
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)

    @override
    def _state_changed(self) -> None:
        # Without video, `apply` is about to raise.
        if self._connection.connectionState == "connected" and self._video is not None:
            self._connected()
        super()._state_changed()

    @override
    def _lost(self, why: str) -> None:
        has_failed = any(transport.state == "failed" for transport in ice_transports(self._connection))
        if has_failed or self._connection.connectionState == "failed":
            super()._lost("ICE or DTLS has failed" if has_failed else why)
        elif not self._closing:
            self._ended()


async def _drain(track: MediaStreamTrack) -> None:
    try:
        while True:
            await track.recv()
    except MediaStreamError:
        return
