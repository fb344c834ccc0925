"""The mock's aiortc peer of one spectator: it answers an offer and sends the packets of a stream."""

from collections.abc import Callable, Sequence

from aiortc import RTCRtpTransceiver
from aiortc.rtcpeerconnection import filter_preferred_codecs

from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.packet_sender import send_packets
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.peer_connection import PeerConnection, agreed_codec, preferred_codecs
from odyssey_mock.rtc.remote_description import DescriptionError

_RECEIVES = ("sendrecv", "sendonly")
"""The directions of an offered section that receives, from the point of view of the mock, which sends."""


class AiortcSpectatorPeer(PeerConnection):
    """An async context manager around one `RTCPeerConnection` that sends a video track to a spectator."""

    def __init__(
        self,
        track: PacketTrack,
        addresses: Sequence[str],
        offered: HostCandidates,
        codecs: Sequence[Codec],
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        """Create the peer. It prefers `codecs`, the codecs in which the stream is already being encoded."""
        super().__init__(addresses, offered, on_connected=on_connected, on_lost=on_lost)
        self._track = track
        self._codecs = preferred_codecs(*codecs)
        self._on_keyframe_wanted = on_keyframe_wanted

    async def answer(self, offer: str) -> tuple[str, Codec]:
        """Apply the offer; return the SDP answer with all candidates, and the negotiated codec.

        Raises:
            DescriptionError: the offer cannot be answered.
        """
        # No transceiver is created in advance: if the offer's bundle begins with another section, aiortc would stop its
        # transport.
        await self._describe_remote(offer, "offer")
        for transceiver in self._connection.getTransceivers():
            # The answer has no audio, and only one video section.
            transceiver.direction = "inactive"
        videos = [each for each in self._connection.getTransceivers() if each.kind == "video"]
        if not videos:
            raise DescriptionError("the offer's SDP cannot be used: expected a video section, got none")
        video = next((each for each in videos if each._offerDirection in _RECEIVES), None)  # noqa: SLF001
        if video is None:
            raise DescriptionError(
                "the offer's SDP cannot be used: expected a video section with a=recvonly or a=sendrecv, "
                "got none that receives"
            )
        codec = self._send_on(video)
        if codec is None:
            raise DescriptionError(
                "the offer's SDP cannot be used: expected H.264 or VP8 in the video section, got neither"
            )
        try:
            return await self._describe_local(self._connection.createAnswer), codec
        except OSError:
            raise
        except Exception as error:
            # aiortc accepts some invalid offers, and then raises arbitrary exceptions.
            raise DescriptionError(f"the offer's SDP cannot be answered: {type(error).__name__}: {error}") from error

    def _send_on(self, video: RTCRtpTransceiver) -> Codec | None:
        """Send the track in the offer's video section. Return the negotiated codec; None if the peers share none."""
        video.direction = "sendonly"
        send_packets(video, self._track, self._on_keyframe_wanted)
        # `setCodecPreferences` only takes effect before the offer is applied.
        video._codecs = filter_preferred_codecs(video._codecs, self._codecs)  # noqa: SLF001
        return agreed_codec(video)
