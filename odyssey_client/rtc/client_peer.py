"""The WebRTC peer of one connection attempt; it answers the streamer's offer (protocol.md section 4)."""

from __future__ import annotations

from typing import ClassVar, override

from aiortc import InvalidStateError, RTCDataChannel, RTCIceCandidate, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from odyssey_client.errors import OdysseyConfigError, PeerError, excerpt
from odyssey_client.platform import Clock, IceServer, PeerListener
from odyssey_client.rtc.peer_connection import PeerConnection
from odyssey_client.rtc.remote_sdp import MAX_CANDIDATES, check_sdp, read_candidate
from odyssey_client.rtc.server_candidates import TlsContext
from odyssey_client.rtc.stats import ChannelCounts

CLIENT_TO_STREAMER = "clientToStreamer"
STREAMER_TO_CLIENT = "streamerToClient"


class AiortcClientPeer(PeerConnection):
    """A peer that receives the streamer's video track and both data channels.

    An async context manager; on exit, all tasks, threads and sockets of its `RTCPeerConnection` have ended.
    """

    name: ClassVar[str] = "peer connection to the streamer"

    def __init__(self, addresses: list[str] | None, clock: Clock, listener: PeerListener, *, tls: TlsContext) -> None:
        super().__init__(addresses, clock, frame=listener.frame, lost=listener.lost, tls=tls)
        self._listener = listener
        self._outgoing: RTCDataChannel | None = None
        self._candidates = 0
        self._connection.on("datachannel", self._channel_added)

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        """Apply the SDP ``offer``; return the SDP answer, which includes all candidates.

        Raises:
            PeerError: the offer cannot be answered.
            OdysseyConfigError: a TURN server needs TLS, and a file with root certificates cannot be used.
        """
        try:
            return await self._within(self._answer(offer, ice_servers))
        except OdysseyConfigError:
            raise
        except Exception as error:
            failure = PeerError(
                f"The service's offer cannot be answered: {type(error).__name__}: {excerpt(str(error))}"
            )
        raise failure  # outside of `except`: the context would quote the offer

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:
        """Add a trickled candidate; an empty ``line`` is the end-of-candidates marker.

        A candidate that is of no use is ignored, and so are all candidates after the first `MAX_CANDIDATES`.

        Raises:
            PeerError: ``line`` is not a candidate, or the first one above `MAX_CANDIDATES`.
        """
        if not line:
            await self._within(self._connection.addIceCandidate(None))
            return
        try:
            candidate = read_candidate(line, mid, mline_index)
        except ValueError as error:
            failure = PeerError(f"The service sent an invalid ICE candidate: {error}")
        else:
            if candidate is not None:
                await self._add(candidate)
            return
        raise failure  # outside of `except`: the context would quote the candidate

    def send(self, text: str) -> bool:
        """Send ``text`` on `clientToStreamer`; return False if the channel is not open or ``text`` is too long."""
        if self._outgoing is None:
            return False
        try:
            self._context.run(self._outgoing.send, text)
        except (InvalidStateError, ValueError):
            return False
        self._counts.channels[self._outgoing].sent(text)
        return True

    async def _add(self, candidate: RTCIceCandidate) -> None:
        self._candidates += 1
        if self._candidates == MAX_CANDIDATES + 1:
            raise PeerError(
                f"The service sent too many ICE candidates: expected at most {MAX_CANDIDATES}, got more. "
                "The others are ignored."
            )
        if self._candidates <= MAX_CANDIDATES:
            await self._within(self._connection.addIceCandidate(candidate))

    async def _answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        connection = self._connection
        await connection.setRemoteDescription(RTCSessionDescription(check_sdp(offer), "offer"))
        if self._video is None or connection.sctp is None:
            raise ValueError("the offer has no video track or no data channels")
        for transceiver in connection.getTransceivers():
            # Decline tracks that are never read: audio, and any video but the first.
            if transceiver.receiver.track is not self._video:
                transceiver.direction = "inactive"
        self._gather(ice_servers)
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    @override
    def _track_added(self, track: MediaStreamTrack) -> None:
        had_video = self._track.done()
        super()._track_added(track)
        if self._track.done() and not had_video:
            self._listener.video_added()

    def _channel_added(self, channel: RTCDataChannel) -> None:
        counts = ChannelCounts()
        # aiortc passes messages only to existing listeners, so add the listener now.
        if channel.label == STREAMER_TO_CLIENT:
            self._add_channel(channel, counts)
            channel.on("message", counts.received)
            channel.on("message", self._listener.message)
        elif channel.label == CLIENT_TO_STREAMER and self._outgoing is None:
            self._add_channel(channel, counts)
            self._outgoing = channel
            self._listener.channel_opened()

    def _add_channel(self, channel: RTCDataChannel, counts: ChannelCounts) -> None:
        self._counts.channels[channel] = counts
        self._report("channel", f"{channel.label} open")
        channel.on("close", lambda: self._closed(channel.label))

    def _closed(self, label: str) -> None:
        self._report("channel", f"{label} closed")
        self._lost(f"the data channel {label} closed")
