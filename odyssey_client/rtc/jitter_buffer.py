"""A jitter buffer for video that passes a frame on when its last packet arrives.

aiortc's own buffer passes a frame on when the first packet of the next one arrives. Each frame is late by one frame
interval, and the last frame of a stream never arrives. aiortc also passes on at most one frame for each packet, so a
stream stays late after a lost packet was repeated. After a packet that stays lost, aiortc waits for 512 more packets.

The RTP marker bit ends a frame (RFC 7741 section 4.1, RFC 6184 section 5.1). Senders without markers are recognized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame

from odyssey_client.rtc.aiortc_internals import can_replace

CAPACITY = 512
"""Maximum distance of sequence numbers between the oldest and the newest packet in the buffer."""
MAX_MISORDER = 100
"""Maximum number of packets by which a packet may be late. RFC 3550 appendix A.1 has this constant and the next."""
MAX_DROPOUT = 3000
"""Maximum number of packets that may be lost in a row. Above it, the sender may have restarted."""
CLOCK_RATE = 90_000
"""Ticks of RTP timestamps per second, for all video."""
REPAIR_S = 0.5
"""Seconds of video that arrive after a lost packet before the frames with missing packets are given up.

A sender repeats a packet within one round trip. Without this limit, aiortc waits for 512 packets: ten seconds and more
at the bitrates of the service.
"""
KEYFRAME_S = 2.0
"""Seconds of video for which frames are held back after a loss, until a keyframe arrives.

The frames between refer to lost ones and look broken. If no keyframe arrives, they are passed on, because the sender
may refresh the picture in another way.
"""
REQUEST_S = 0.5
"""Seconds of video after which a keyframe is requested again."""
_NAL_TYPE = 0x1F
_NAL_IDR = 5
_START_CODE = b"\0\0\1"


class Packet(Protocol):
    """The parts of aiortc's `RtpPacket` that the buffer uses."""

    marker: int
    payload_type: int
    sequence_number: int
    timestamp: int
    _data: bytes


class Frame(JitterFrame):
    """An encoded frame.

    Attributes:
        rtp_timestamp: the timestamp of its packets; aiortc changes `timestamp`.
        following: the frames that became complete with the same packet.
    """

    def __init__(self, data: bytes, timestamp: int) -> None:
        super().__init__(data, timestamp)
        self.rtp_timestamp = timestamp
        self.following: Sequence[Frame] = ()


class JitterBuffer:
    """Puts the packets of one video stream in order, and returns complete frames.

    It replaces aiortc's class of the same name; `install` puts it into a receiver. It uses the timestamps of the
    packets as its clock.

    Attributes:
        emitted: Number of frames that were passed on.
        dropped: Number of complete frames that were not passed on, because they refer to lost ones.
        delay_s: Seconds from the first packet of each frame that was passed on until then, summed up.
    """

    def __init__(self, codec_of: Callable[[int], str | None], now: Callable[[], float] = lambda: 0.0) -> None:
        """Create an empty buffer.

        Args:
            codec_of: Returns the name of the codec of a payload type.
            now: Returns the time in seconds, for `delay_s` only.
        """
        self.emitted = 0
        self.dropped = 0
        self.delay_s = 0.0
        self._codec_of = codec_of
        self._now = now
        self._arrived: dict[int, float] = {}
        """When the first packet of each frame in the buffer arrived, by the timestamp of its packets."""
        self._packets: dict[int, Packet] = {}
        """The packets by sequence number, which is extended so that it does not wrap."""
        self._next: int | None = None
        """The number of the first packet that was not passed on."""
        self._newest = 0
        self._suspect: Packet | None = None
        """A packet whose number is far from the others. The sender has restarted if the next packet follows it."""
        self._has_begun = False
        self._trusts_markers = True
        self._ended: int | None = None
        """The timestamp of the latest frame that ended with a marker."""
        self._lost_at: int | None = None
        """The timestamp of the first frame after a loss; None if a keyframe has arrived since then."""
        self._requested_at: int | None = None
        """The timestamp at which a keyframe was last requested since the loss."""

    def add(self, packet: Packet) -> tuple[bool, Frame | None]:
        """Add a packet; return whether to request a keyframe, and the first frame that is now complete, if any."""
        if self._next is None:
            self._insert(packet.sequence_number, packet)
            self._next = self._newest = packet.sequence_number
        else:
            number = self._next + _signed(packet.sequence_number - self._next, 16)
            ahead = number - self._next
            if -MAX_MISORDER < ahead < MAX_DROPOUT:
                self._suspect = None
                if ahead < 0 and self._has_begun:
                    return False, None  # late, or a duplicate
                self._next = min(self._next, number)
                self._insert(number, packet)
            elif self._suspect is None or _signed(packet.sequence_number - self._suspect.sequence_number, 16) != 1:
                self._suspect = packet
                return False, None
            else:
                self._restart([self._suspect, packet])
        frames = self._complete()
        while self._is_stuck():
            self._give_up()
            frames += self._complete()
        wants_keyframe = self._wants_keyframe(packet.timestamp)
        if not frames:
            return wants_keyframe, None
        frames[0].following = frames[1:]
        return wants_keyframe, frames[0]

    def _insert(self, number: int, packet: Packet) -> None:
        if number in self._packets:
            return  # a duplicate, perhaps with another timestamp
        self._packets[number] = packet
        self._arrived.setdefault(packet.timestamp, self._now())
        self._newest = max(self._newest, number)

    def _restart(self, packets: list[Packet]) -> None:
        """Start again with the first packets of a sender that has restarted."""
        first = packets[0].sequence_number
        self._arrived = {packet.timestamp: self._now() for packet in packets}
        self._packets = {first + place: packet for place, packet in enumerate(packets)}
        self._next, self._newest = first, first + len(packets) - 1
        self._suspect, self._ended = None, None
        self._lost_at, self._requested_at = packets[0].timestamp, None

    def _complete(self) -> list[Frame]:
        """Remove the complete frames at the start of the buffer, and return them."""
        found: list[Frame] = []
        assert self._next is not None
        packets: list[Packet] = []
        number = self._next
        while (packet := self._packets.get(number)) is not None:
            if packets and packet.timestamp != packets[0].timestamp:
                found += self._taken(packets)
                packets = []
            elif not packets and packet.timestamp == self._ended and packet._data:  # noqa: SLF001 - aiortc's name
                # The frame went on after its marker: the sender does not use markers as the RFCs state.
                self._trusts_markers = False
            packets.append(packet)
            number += 1
            if packet.marker and self._trusts_markers:
                self._ended = packet.timestamp
                found += self._taken(packets)
                packets = []
        return found

    def _taken(self, packets: list[Packet]) -> list[Frame]:
        """Remove the packets of a complete frame; return the frame, or nothing if they are only padding."""
        assert self._next is not None
        for number in range(self._next, self._next + len(packets)):
            del self._packets[number]
        self._next += len(packets)
        self._has_begun = True
        data = b"".join(packet._data for packet in packets)  # noqa: SLF001 - aiortc's name
        now = self._now()
        arrived = self._arrived.pop(packets[0].timestamp, now)
        if not data:
            return []
        frame = Frame(data, packets[0].timestamp)
        if self._is_held(frame, packets[0].payload_type):
            self.dropped += 1
            return []
        self.emitted += 1
        self.delay_s += now - arrived
        return [frame]

    def _is_stuck(self) -> bool:
        """Return whether a packet is missing, and too much has arrived after it to wait any longer."""
        assert self._next is not None
        if not self._packets:
            return False
        if self._newest - self._next >= CAPACITY:
            return True
        after = self._first_after_gap()
        return after is not None and self._span(after, self._newest) >= REPAIR_S * CLOCK_RATE

    def _first_after_gap(self) -> int | None:
        """Return the number of the first packet after a missing one; None if no packet is missing."""
        assert self._next is not None
        if len(self._packets) == self._newest - self._next + 1:
            return None
        number = self._next
        while number in self._packets:
            number += 1
        return min((each for each in self._packets if each > number), default=None)

    def _span(self, first: int, last: int) -> int:
        return ticks_between(self._packets[first].timestamp, self._packets[last].timestamp)

    def _give_up(self) -> None:
        """Remove the incomplete frames on both sides of the first missing packet."""
        first = self._first_after_gap()
        if first is None:  # a frame that is larger than the buffer
            first = self._next
        assert first is not None
        number, timestamp = first, self._packets[first].timestamp
        while (packet := self._packets.get(number)) is not None and packet.timestamp == timestamp:
            number += 1
            if packet.marker and self._trusts_markers:
                break
        for each in [each for each in self._packets if each < number]:
            self._arrived.pop(self._packets.pop(each).timestamp, None)
        self._next = number
        self._newest = max(self._newest, number - 1)
        if self._lost_at is None:
            self._lost_at, self._requested_at = timestamp, None

    def _is_held(self, frame: Frame, payload_type: int) -> bool:
        """Return whether a frame may refer to lost frames, so that it is not passed on."""
        if self._lost_at is None:
            return False
        waited = ticks_between(self._lost_at, frame.timestamp)
        if waited < KEYFRAME_S * CLOCK_RATE and not is_keyframe(self._codec_of(payload_type), frame.data):
            return True
        self._lost_at = None
        return False

    def _wants_keyframe(self, now: int) -> bool:
        """Return whether to request a keyframe: after a loss, again and again until one arrives."""
        if self._lost_at is None:
            return False
        if self._requested_at is not None and ticks_between(self._requested_at, now) < REQUEST_S * CLOCK_RATE:
            return False
        self._requested_at = now
        return True


def is_keyframe(codec: str | None, data: bytes) -> bool:
    """Return whether an encoded frame is a keyframe; True for a codec other than VP8 and H.264."""
    match codec:
        case "VP8":
            return not data[0] & 1  # RFC 6386 section 9.1
        case "H264":
            return any(start[0] & _NAL_TYPE == _NAL_IDR for start in data.split(_START_CODE) if start)
        case _:
            return True


def ticks_between(earlier: int, later: int) -> int:
    """Return the ticks from one RTP timestamp to another, which may have wrapped; negative if `later` is before."""
    return _signed(later - earlier, 32)


def install(receiver: RTCRtpReceiver, now: Callable[[], float] = lambda: 0.0) -> JitterBuffer | None:
    """Replace the jitter buffer of a receiver, and return the new one. Call this before its first packet arrives.

    ``now`` returns the time in seconds. aiortc has no public way to replace its buffer. With a version that has other
    attributes, the receiver keeps its own buffer, and the function returns None.
    """
    attributes = vars(receiver)
    codecs, buffer, decoding = (f"_RTCRtpReceiver__{name}" for name in ("codecs", "jitter_buffer", "decoder_queue"))
    otherwise = "frames are late by one frame interval"
    if not can_replace(receiver, codecs, buffer, decoding, what="jitter buffer", otherwise=otherwise):
        return None

    def codec_of(payload_type: int) -> str | None:
        codec = attributes[codecs].get(payload_type)
        return None if codec is None else codec.name

    installed = attributes[buffer] = JitterBuffer(codec_of, now)
    queue = attributes[decoding]
    queue.put = partial(_put_each, queue.put)
    return installed


def _put_each(put: Callable[[object], None], item: object) -> None:
    """Put an item of the decoder's queue, and then the `following` frames of its frame."""
    put(item)
    match item:
        case (codec, Frame() as frame):
            for each in frame.following:
                # aiortc's timestamps begin with 0 and do not wrap.
                each.timestamp = frame.timestamp + ticks_between(frame.rtp_timestamp, each.rtp_timestamp)
                put((codec, each))
        case _:
            pass


def _signed(difference: int, bits: int) -> int:
    """Return the smallest number, positive or negative, that differs from `difference` by a multiple of 2**bits."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
