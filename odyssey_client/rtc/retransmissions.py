"""Requests for the retransmission of lost packets (NACK, RFC 4585 section 6.2.1) that are repeated until they succeed.

aiortc requests lost packets when it notices a new gap, and repeats older requests only then. If the request or the
retransmission is lost too, a video of few packets waits until the jitter buffer gives the packet up.
"""

from __future__ import annotations

from aiortc import RTCRtpReceiver
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket

from odyssey_client.rtc.aiortc_internals import can_replace
from odyssey_client.rtc.jitter_buffer import CLOCK_RATE, REPAIR_S, ticks_between

REPEAT_S = 0.1
"""Seconds of video after which the packets that are still missing are requested again."""


class Retransmissions(NackGenerator):
    """The missing packets of a video, and when to request them.

    Attributes:
        missing: sequence numbers of the packets that are missing, and that the jitter buffer still waits for.
    """

    def __init__(self) -> None:
        super().__init__()
        self._noticed: dict[int, int] = {}
        """For each missing packet, the RTP timestamp of the packet that revealed the gap."""
        self._requested_at = 0
        """The RTP timestamp of the packet with which the missing packets were last requested."""

    def add(self, packet: RtpPacket) -> bool:
        """Note an arrived packet; return whether to request the missing packets now."""
        has_gap = super().add(packet)
        if not self.missing:
            self._noticed.clear()
            return False
        now = packet.timestamp
        self._noticed = {number: self._noticed.get(number, now) for number in self.missing}
        self.missing = {
            number for number, at in self._noticed.items() if ticks_between(at, now) < REPAIR_S * CLOCK_RATE
        }
        if not has_gap and ticks_between(self._requested_at, now) < REPEAT_S * CLOCK_RATE:
            return False
        self._requested_at = now
        return bool(self.missing)


def install(receiver: RTCRtpReceiver) -> None:
    """Let a receiver of video repeat its requests. Call this before it receives its first packet.

    aiortc has no public way to do this. With a version that has other attributes, the receiver requests a packet once.
    """
    name = "_RTCRtpReceiver__nack_generator"
    if can_replace(receiver, name, what="NACK generator", otherwise="lost packets are requested only once"):
        vars(receiver)[name] = Retransmissions()
