"""`PacketSender`: an RTP sender of encoded frames, in place of aiortc's `RTCRtpSender`, for sessions and spectators.

It sends what aiortc's sender sends: RTP with header extensions, retransmissions (RFC 4588), sender reports and BYE
(RFC 3550). It takes less CPU time, because

- it sends a frame as soon as it is pushed, without a task,
- it splits a frame into payloads once for all receivers,
- it writes only the parts of an RTP header that change.
"""

import asyncio
import struct
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import lru_cache

from aiortc import RTCDtlsTransport, RTCRtpTransceiver, RTCStatsReport, clock
from aiortc.codecs import get_encoder, is_rtx
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtcrtpsender import RTT_ALPHA, random_sequence_number
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RTP_HEADER_LENGTH,
    RTP_HISTORY_SIZE,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_header_extensions,
)
from aiortc.stats import RTCOutboundRtpStreamStats, RTCRemoteInboundRtpStreamStats
from aiortc.utils import random16, random32, uint16_add, uint32_add

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.media.encoder import VideoPacket
from odyssey_mock.rtc.packet_track import PacketTrack

logger = get_logger(__name__)

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
"""The header extensions that are sent, if the peers have agreed on them."""

LAST_TURNS = 6
"""Turns of the event loop that the end of a sender takes, as the end of aiortc's tasks does.

When a connection closes, datagrams that have arrived are handled before, such as those that open the data channels.
"""
BYE_TURN = 4
"""The turn in which BYE is sent, as by aiortc. Earlier, clients would notice it before the end of the data channels."""

_SHARED_FRAMES = 16
"""Number of frames whose payloads are kept for further receivers: a few kB each, ten times more for a key frame."""
_RTP = struct.Struct("!BBHLL")
_VERSION, _HAS_EXTENSION, _MARKER = 2 << 6, 1 << 4, 1 << 7
_SDES_CNAME = 1
_SOME_TIME = b"\xff\xff\xff"


@lru_cache(maxsize=_SHARED_FRAMES)
def _h264_payloads(packet: VideoPacket) -> tuple[list[bytes], int]:
    """Return the RTP payloads of a frame, and its time in ticks of the RTP clock. All receivers of a frame share them.

    VP8 has a picture number in each payload, which is different for each receiver.
    """
    return H264Encoder().pack(packet)


def send_packets(transceiver: RTCRtpTransceiver, track: PacketTrack, on_keyframe_wanted: Callable[[], None]) -> None:
    """Send `track` on a transceiver; call `on_keyframe_wanted()` when the receiver requests a key frame (PLI, FIR).

    Call this before the transceiver is described. aiortc has no public way to replace the sender of a transceiver. With
    a version that has other attributes, aiortc's sender sends the track.
    """
    former, name = transceiver.sender, "_RTCRtpTransceiver__sender"
    if name not in vars(transceiver):
        logger.warning("this version of aiortc has no replaceable sender of a transceiver; video takes more CPU time")
        former.replaceTrack(track)
        former._send_keyframe = on_keyframe_wanted  # type: ignore[method-assign] # noqa: SLF001 - no public way
        return
    sender = PacketSender(track, former.transport, on_keyframe_wanted)
    # aiortc has already put these into the receiver and the description.
    sender._ssrc, sender._stream_id = former._ssrc, former._stream_id  # noqa: SLF001
    vars(transceiver)[name] = sender


class PacketSender:
    """Sends the packets of one track over RTP. Attributes and methods in camel case, and private ones, are aiortc's."""

    kind = "video"

    def __init__(self, track: PacketTrack, transport: RTCDtlsTransport, on_keyframe_wanted: Callable[[], None]) -> None:
        self.track = track
        self.transport = transport
        self._on_keyframe_wanted = on_keyframe_wanted
        self._ssrc = random32()
        self._rtx_ssrc = random32()
        self._stream_id = ""
        self._track_id = track.id
        self._enabled = True
        self._started = False
        self._cname: str | None = None
        self._payload_type = 0
        self._rtx_payload_type: int | None = None
        self._pack: Callable[[VideoPacket], tuple[list[bytes], int]] = _h264_payloads
        self._extensions = _Extensions()
        self._sequence_number = random_sequence_number()
        self._rtx_sequence_number = random_sequence_number()
        self._timestamp_origin = random32()
        self._history: dict[int, tuple[int, bytes]] = {}
        """The latest packets with their sequence numbers, for retransmissions."""
        self._next_report: asyncio.TimerHandle | None = None
        self._stats = RTCStatsReport()
        self._packets = self._octets = 0
        """What was sent: the number of packets, and the length of their payloads."""
        self._ntp_time = self._rtp_time = 0
        """When the latest packet was sent, as NTP timestamp; its RTP timestamp."""
        self._latest_report: tuple[int | None, int] = None, 0
        """The number by which the receiver names the latest sender report (LSR), and the NTP time of this report."""
        self._round_trip: float | None = None

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802 - aiortc's name
        self.transport = transport

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Begin to send: first the packets that wait in the track, then each packet when it is pushed."""
        if self._started:
            return
        self._started = True
        codec = parameters.codecs[0]
        assert codec.payloadType is not None  # since the peers have agreed on it
        self._cname = parameters.rtcp.cname
        self._payload_type = codec.payloadType
        for each in parameters.codecs:
            if is_rtx(each) and each.parameters["apt"] == codec.payloadType:
                self._rtx_payload_type = each.payloadType
        if codec.mimeType.lower() != "video/h264":
            self._pack = get_encoder(codec).pack
        ids = {extension.uri: extension.id for extension in parameters.headerExtensions}
        self._extensions = _Extensions(ids.get(MID), parameters.muxId, ids.get(ABS_SEND_TIME))
        self.transport._register_rtp_sender(self, parameters)  # noqa: SLF001 - aiortc's protocol of senders
        self._report_later()
        self.track.deliver(self._send_frame)

    async def stop(self) -> None:
        """End the track with RTCP BYE."""
        if not self._started or self._next_report is None:
            return
        self._next_report.cancel()
        self._next_report = None
        self.transport._unregister_rtp_sender(self)  # noqa: SLF001 - aiortc's protocol of senders
        self.track.stop()
        for turn in range(LAST_TURNS):
            if turn == BYE_TURN:
                self._send_rtcp(RtcpByePacket(sources=[self._ssrc]))
            await asyncio.sleep(0)  # noqa: TID251 - no time passes

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 - aiortc's name
        """Return the statistics of the sender, of its transport, and those that the receiver has reported."""
        self._stats.add(
            RTCOutboundRtpStreamStats(
                timestamp=clock.current_datetime(),
                type="outbound-rtp",
                id=f"outbound-rtp_{id(self)}",
                ssrc=self._ssrc,
                kind=self.kind,
                transportId=self.transport._stats_id,  # noqa: SLF001 - aiortc has no public attribute for it
                packetsSent=self._packets,
                bytesSent=self._octets,
                trackId=str(id(self.track)),
            )
        )
        self._stats.update(self.transport._get_stats())  # noqa: SLF001 - as above
        return self._stats

    def _send_frame(self, packet: VideoPacket) -> None:
        """Send one frame; end the track if the transport is closed.

        The frames of other receivers must not depend on this one. Every other error therefore also ends the track, and
        is logged.
        """
        if not self._enabled:
            return
        try:
            payloads, ticks = self._pack(packet)
            timestamp = uint32_add(self._timestamp_origin, ticks)
            last = len(payloads) - 1
            for index, payload in enumerate(payloads):
                self._send_payload(payload, timestamp, is_last=index == last)
        except ConnectionError:
            self.track.stop()
        except Exception:
            logger.warning("the video of one receiver has ended: %s", traceback.format_exc())
            self.track.stop()

    def _send_payload(self, payload: bytes, timestamp: int, *, is_last: bool) -> None:
        number, now = self._sequence_number, clock.current_ntp_time()
        head = _RTP.pack(
            self._extensions.first_byte,
            self._payload_type | (_MARKER if is_last else 0),
            number,
            timestamp,
            self._ssrc,
        )
        data = b"".join((head, self._extensions.at(now), payload))
        self._history[number % RTP_HISTORY_SIZE] = (number, data)
        self._sequence_number = uint16_add(number, 1)
        _complete(self.transport._send_rtp(data))  # noqa: SLF001 - the only way to aiortc's SRTP
        self._ntp_time, self._rtp_time = now, timestamp
        self._octets += len(payload)
        self._packets += 1

    def _retransmit(self, sequence_number: int) -> None:
        """Send a packet again that was reported as lost, in the format of RFC 4588 if the peers have agreed on it."""
        number, data = self._history.get(sequence_number % RTP_HISTORY_SIZE, (-1, b""))
        if number != sequence_number:
            return
        if self._rtx_payload_type is not None:
            marker = data[1] & _MARKER
            (timestamp,) = struct.unpack_from("!L", data, 4)
            head = _RTP.pack(
                data[0], marker | self._rtx_payload_type, self._rtx_sequence_number, timestamp, self._rtx_ssrc
            )
            start = RTP_HEADER_LENGTH + self._extensions.length
            data = b"".join((head, data[RTP_HEADER_LENGTH:start], struct.pack("!H", number), data[start:]))
            self._rtx_sequence_number = uint16_add(self._rtx_sequence_number, 1)
        _complete(self.transport._send_rtp(data))  # noqa: SLF001 - as above

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self._note_report(packet.ssrc, report)
        elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for sequence_number in packet.lost:
                self._retransmit(sequence_number)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in {RTCP_PSFB_FIR, RTCP_PSFB_PLI}:
            self._on_keyframe_wanted()

    def _note_report(self, ssrc: int, report: RtcpReceiverInfo) -> None:
        """Add the statistics of a receiver report (RFC 3550 section 6.4.1)."""
        name, sent_at = self._latest_report
        if report.lsr == name and report.dlsr:
            elapsed = (clock.current_ntp_time() - sent_at) / (1 << 32) - report.dlsr / (1 << 16)
            before = elapsed if self._round_trip is None else self._round_trip
            self._round_trip = RTT_ALPHA * before + (1 - RTT_ALPHA) * elapsed
        self._stats.add(
            RTCRemoteInboundRtpStreamStats(
                timestamp=clock.current_datetime(),
                type="remote-inbound-rtp",
                id=f"remote-inbound-rtp_{id(self)}",
                ssrc=ssrc,
                kind=self.kind,
                transportId=self.transport._stats_id,  # noqa: SLF001 - as above
                packetsReceived=self._packets - report.packets_lost,
                packetsLost=report.packets_lost,
                jitter=report.jitter,
                roundTripTime=self._round_trip,  # type: ignore[arg-type]  # None if unknown, as in aiortc
                fractionLost=report.fraction_lost,
            )
        )

    def _report_later(self) -> None:
        # RFC 3550 section 6.2: the interval varies randomly, so that the reports of many senders do not coincide.
        delay = 0.5 + random16() / 0x10000
        self._next_report = asyncio.get_running_loop().call_later(delay, self._report)

    def _report(self) -> None:
        """Send a sender report, and the name of the source."""
        info = RtcpSenderInfo(self._ntp_time, self._rtp_time, self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF)
        packets: list[AnyRtcpPacket] = [RtcpSrPacket(ssrc=self._ssrc, sender_info=info)]
        if self._cname is not None:
            items = [(_SDES_CNAME, self._cname.encode())]
            packets.append(RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=self._ssrc, items=items)]))
        self._latest_report = (self._ntp_time >> 16) & 0xFFFFFFFF, clock.current_ntp_time()
        self._send_rtcp(*packets)
        self._report_later()

    def _send_rtcp(self, *packets: AnyRtcpPacket) -> None:
        with suppress(ConnectionError):  # of a transport that is closed
            _complete(self.transport._send_rtp(b"".join(map(bytes, packets))))  # noqa: SLF001 - as above


class _Extensions:
    """The header extensions of all packets of one sender (RFC 8285), in which only the time of sending changes.

    Attributes:
        first_byte: the first byte of the RTP header, which states whether there are extensions.
        length: number of bytes of the extensions.
    """

    def __init__(self, mid_id: int | None = None, mid: str = "", time_id: int | None = None) -> None:
        """Write the extensions; an id is None or 0 if the peers have not agreed on the extension."""
        elements = [(mid_id, mid.encode())] if mid_id else []
        profile, value = pack_header_extensions([*elements, (time_id, _SOME_TIME)] if time_id else elements)
        whole = struct.pack("!HH", profile, len(value) // 4) + value if value else b""
        self.first_byte = _VERSION | (_HAS_EXTENSION if value else 0)
        self.length = len(whole)
        self._time_at = whole.rindex(_SOME_TIME) if time_id else None  # the last element; zeros follow it
        self._before, self._after = (
            whole[: self._time_at],
            whole[self.length if self._time_at is None else self._time_at + len(_SOME_TIME) :],
        )

    def at(self, now: int) -> bytes:
        """Return the extensions of a packet that is sent at the NTP time `now`."""
        if self._time_at is None:
            return self._before
        # 24 bits of the NTP timestamp, of which the lower 18 are the fraction of a second.
        return self._before + (now >> 14 & 0xFFFFFF).to_bytes(3) + self._after


def _complete(sending: Coroutine[object, object, None]) -> None:
    """Run a coroutine of aiortc that sends a datagram: it never waits, because the socket has a queue."""
    try:
        sending.send(None)
    except StopIteration:
        return
    sending.close()
    raise RuntimeError("expected aiortc to send a datagram without waiting, but it waits for something")
