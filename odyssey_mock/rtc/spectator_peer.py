"""The mock's end to one spectator over WebRTC: it answers an offer, and sends the packets of a stream."""

from collections.abc import Callable, Sequence

from aiortc import RTCRtpTransceiver
from aiortc.rtcpeerconnection import filter_preferred_codecs

from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.peer_connection import DescriptionError, PeerConnection, agreed_codec, preferred_codecs


class AiortcSpectatorPeer(PeerConnection):
    """An async context manager around one `RTCPeerConnection` that sends a video track to whoever offers to receive."""

    def __init__(
        self,
        track: PacketTrack,
        addresses: list[str],
        codecs: Sequence[Codec],
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        """`codecs`: those that are encoded anyway; they are taken before others."""
        super().__init__(addresses, on_connected=on_connected, on_lost=on_lost)
        self._track = track
        self._codecs = preferred_codecs(*codecs)
        self._on_keyframe_wanted = on_keyframe_wanted

    async def answer(self, offer: str) -> tuple[str, Codec]:
        """Apply the offer; return the answer, complete with every candidate, and the codec that was agreed on.

        Raises:
            DescriptionError: it cannot be answered.
        """
        # No transceiver is made ahead: aiortc stops its transport where the offer's bundle begins with another section.
        await self._describe_remote(offer, "offer")
        for transceiver in self._connection.getTransceivers():
            # There is no audio, and one picture.
            transceiver.direction = "inactive"
        video = next((each for each in self._connection.getTransceivers() if each.kind == "video"), None)
        codec = self._send_on(video) if video is not None else None
        if video is None or codec is None:
            raise DescriptionError("the offer's SDP cannot be used: expected a video section with H.264 or VP8")
        answer = await self._describe_local(self._connection.createAnswer)
        if video.currentDirection != "sendonly":
            raise DescriptionError(
                "the offer's SDP cannot be used: expected video that receives (recvonly), it is to be "
                f"{video.currentDirection} here"
            )
        return answer, codec

    def _send_on(self, video: RTCRtpTransceiver) -> Codec | None:
        """Let the offer's video have the track, in the first codec that both sides know; None where there is none."""
        video.direction = "sendonly"
        video.sender.replaceTrack(self._track)
        # aiortc answers PLI and FIR in its encoder, which ready-made packets go around.
        video.sender._send_keyframe = self._on_keyframe_wanted  # type: ignore[method-assign] # noqa: SLF001
        # What is preferred would have had to be known before the offer was applied.
        video._codecs = filter_preferred_codecs(video._codecs, self._codecs)  # noqa: SLF001
        return agreed_codec(video)
