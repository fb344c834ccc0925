"""Statistics of an aiortc peer, with the names and units of the W3C recommendation (webrtc-stats).

aiortc's own report has few of the dictionaries, and some of its values have other units: jitter in units of the RTP
clock, and timestamps as dates. This module completes it with values that aiortc and aioice have as attributes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aioice import Candidate
from aiortc import RTCDataChannel, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.stats import RTCStatsReport, RTCTransportStats
from av import VideoFrame

from odyssey_client.models import JSON
from odyssey_client.rtc.aiortc_internals import can_replace
from odyssey_client.rtc.ice import ice_transports

CLOCK_RATES = {"video": 90_000, "audio": 48_000}
"""Units of the RTP clock per second (RFC 6184, RFC 7741, RFC 7587)."""


@dataclass(slots=True)
class ChannelCounts:
    """Messages of one data channel: numbers and bytes."""

    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0

    def sent(self, message: str | bytes) -> None:
        self.messages_sent += 1
        self.bytes_sent += _length(message)

    def received(self, message: str | bytes) -> None:
        self.messages_received += 1
        self.bytes_received += _length(message)


FREEZE_INTERVALS = 3
FREEZE_ADDED_S = 0.15
"""An interval of at least three mean intervals, and of at least the mean and 150 ms, is a freeze (webrtc-stats)."""
MEAN_OF = 30
"""Number of latest intervals between frames whose mean counts (webrtc-stats)."""


class BufferCounts(Protocol):
    """What a jitter buffer counts; see `odyssey_client.rtc.jitter_buffer.JitterBuffer`."""

    emitted: int
    dropped: int
    delay_s: float


@dataclass(slots=True)
class Counts:
    """Values of one peer that aiortc does not count.

    Attributes:
        frames: Number of decoded video frames.
        size: Width and height of the last frame; None before the first.
        channels: The data channels with their counts.
        freezes: Number of freezes of the video.
        frozen_s: Their total duration in seconds.
        counts_requests: Whether the two following numbers are counted.
        nacks: Number of requests for lost packets (NACK) that were sent.
        plis: Number of requests for a keyframe (PLI) that were sent.
        round_trips: Times in seconds of the answered consent checks, summed up.
        answered: Number of the answered consent checks.
        latest_round_trip: The latest of these times; None before the first.
        buffer: The jitter buffer of the video; None before the track is added.
    """

    frames: int = 0
    size: tuple[int, int] | None = None
    channels: dict[RTCDataChannel, ChannelCounts] = field(default_factory=dict)
    freezes: int = 0
    frozen_s: float = 0.0
    counts_requests: bool = False
    nacks: int = 0
    plis: int = 0
    round_trips: float = 0.0
    answered: int = 0
    latest_round_trip: float | None = None
    buffer: BufferCounts | None = None
    _decoded_at: float | None = None
    _intervals: deque[float] = field(default_factory=lambda: deque(maxlen=MEAN_OF))

    def decoded(self, frame: VideoFrame, now: float) -> None:
        """Count a frame that was decoded at the time ``now`` in seconds."""
        self.frames += 1
        self.size = frame.width, frame.height
        if self._decoded_at is not None:
            self._passed(now - self._decoded_at)
        self._decoded_at = now

    def _passed(self, interval: float) -> None:
        if self._intervals:
            mean = sum(self._intervals) / len(self._intervals)
            if interval >= max(FREEZE_INTERVALS * mean, mean + FREEZE_ADDED_S):
                self.freezes += 1
                self.frozen_s += interval
        self._intervals.append(interval)

    def round_trip(self, seconds: float) -> None:
        """Count a consent check that was answered after ``seconds``."""
        self.answered += 1
        self.round_trips += seconds
        self.latest_round_trip = seconds

    def count_requests(self, receiver: RTCRtpReceiver) -> None:
        """Count the requests for lost packets and for keyframes that ``receiver`` sends from now on.

        aiortc has no public way to do this. With a version that has other methods, they are not counted.
        """
        names, otherwise = ("_send_rtcp_nack", "_send_rtcp_pli"), "statistics have no nackCount and pliCount"
        if not can_replace(receiver, *names, what="requests for packets and keyframes", otherwise=otherwise):
            return
        self.counts_requests = True
        send_nack, send_pli = receiver._send_rtcp_nack, receiver._send_rtcp_pli  # noqa: SLF001 - no public way

        async def counted_nack(media_ssrc: int, lost: list[int]) -> None:
            self.nacks += 1
            await send_nack(media_ssrc, lost)

        async def counted_pli(media_ssrc: int) -> None:
            self.plis += 1
            await send_pli(media_ssrc)

        receiver._send_rtcp_nack = counted_nack  # type: ignore[method-assign]  # noqa: SLF001
        receiver._send_rtcp_pli = counted_pli  # type: ignore[method-assign]  # noqa: SLF001


def statistics(connection: RTCPeerConnection, counts: Counts, timestamp: float) -> dict[str, JSON]:
    """Return the report of a connection: dictionaries of webrtc-stats by their ids.

    Args:
        connection: The connection.
        counts: Values that aiortc does not count.
        timestamp: The time, in milliseconds since the epoch.
    """
    reports = [*_receivers(connection, counts), *_channels(counts)]
    for ice in ice_transports(connection):
        reports += _candidates(ice, counts)
    reports.append(
        {
            "type": "peer-connection",
            "id": "peer-connection",
            "dataChannelsOpened": len(counts.channels),
            "dataChannelsClosed": sum(channel.readyState == "closed" for channel in counts.channels),
        }
    )
    return {str(report["id"]): {**report, "timestamp": timestamp} for report in reports}


def _receivers(connection: RTCPeerConnection, counts: Counts) -> Iterable[dict[str, JSON]]:
    for transceiver in connection.getTransceivers():
        receiver = transceiver.receiver
        ice = receiver.transport.transport
        yield from _streams(receiver, transceiver.kind, ice, counts)
        for stats in _own_report(receiver).values():
            if isinstance(stats, RTCTransportStats):
                yield _transport(stats, ice)


def _streams(receiver: RTCRtpReceiver, kind: str, ice: RTCIceTransport, counts: Counts) -> Iterable[dict[str, JSON]]:
    """Return the reports of the streams of a receiver.

    aiortc's own report has only the latest of them, which is the stream of retransmissions (RFC 4588) after a loss.
    """
    attributes = vars(receiver)
    streams: Mapping[int, StreamStatistics] = attributes.get("_RTCRtpReceiver__remote_streams", {})
    repairs: Mapping[int, int] = attributes.get("_RTCRtpReceiver__rtx_ssrc", {})
    for ssrc, stats in streams.items():
        if ssrc not in repairs:
            repeated = sum(each.packets_received for own, each in streams.items() if repairs.get(own) == ssrc)
            yield _stream(ssrc, kind, stats, ice, counts, repeated=repeated)


def _stream(
    ssrc: int, kind: str, stats: StreamStatistics, ice: RTCIceTransport, counts: Counts, *, repeated: int
) -> dict[str, JSON]:
    report: dict[str, JSON] = {
        "type": "inbound-rtp",
        "id": f"inbound-rtp-{ssrc}",
        "ssrc": ssrc,
        "kind": kind,
        "transportId": _transport_id(ice),
        "packetsReceived": stats.packets_received + repeated,
        "packetsLost": stats.packets_lost,
        "retransmittedPacketsReceived": repeated,
        "jitter": stats.jitter / CLOCK_RATES.get(kind, 90_000),
    }
    if kind == "video":
        report["framesDecoded"] = counts.frames
        report["freezeCount"] = counts.freezes
        report["totalFreezesDuration"] = counts.frozen_s
        if counts.counts_requests:
            report["nackCount"] = counts.nacks
            report["pliCount"] = counts.plis
        if counts.buffer is not None:
            report["framesReceived"] = counts.buffer.emitted + counts.buffer.dropped
            report["framesDropped"] = counts.buffer.dropped
            report["jitterBufferDelay"] = counts.buffer.delay_s
            report["jitterBufferEmittedCount"] = counts.buffer.emitted
        if counts.size is not None:
            report["frameWidth"], report["frameHeight"] = counts.size
    return report


def _transport(stats: RTCTransportStats, ice: RTCIceTransport) -> dict[str, JSON]:
    return {
        "type": "transport",
        "id": _transport_id(ice),
        "packetsSent": stats.packetsSent,
        "packetsReceived": stats.packetsReceived,
        "bytesSent": stats.bytesSent,
        "bytesReceived": stats.bytesReceived,
        "iceRole": stats.iceRole,
        "iceState": ice.state,
        "dtlsState": stats.dtlsState,
        **_selected(ice),
    }


def _selected(ice: RTCIceTransport) -> dict[str, JSON]:
    return {"selectedCandidatePairId": f"{_transport_id(ice)}-pair"} if _nominated(ice) else {}


def _nominated(ice: RTCIceTransport) -> tuple[Candidate, Candidate] | None:
    """Return the nominated candidates, the local and the remote one; None if there are none yet."""
    pairs = ice.iceGatherer._connection._nominated  # noqa: SLF001 - aioice has no public way to its pairs
    pair = next(iter(pairs.values()), None)
    return None if pair is None else (pair.local_candidate, pair.remote_candidate)


def _candidates(ice: RTCIceTransport, counts: Counts) -> Iterable[dict[str, JSON]]:
    if (pair := _nominated(ice)) is None:
        return
    name = _transport_id(ice)
    yield {
        "type": "candidate-pair",
        "id": f"{name}-pair",
        "transportId": name,
        "localCandidateId": f"{name}-local",
        "remoteCandidateId": f"{name}-remote",
        "state": "succeeded",
        "nominated": True,
        "responsesReceived": counts.answered,
        "totalRoundTripTime": counts.round_trips,
        **({} if counts.latest_round_trip is None else {"currentRoundTripTime": counts.latest_round_trip}),
    }
    for side, candidate in zip(("local", "remote"), pair, strict=True):
        yield {
            "type": f"{side}-candidate",
            "id": f"{name}-{side}",
            "transportId": name,
            "address": candidate.host,
            "port": candidate.port,
            "protocol": candidate.transport.lower(),
            "candidateType": candidate.type,
            "priority": candidate.priority,
            "foundation": candidate.foundation,
        }


def _channels(counts: Counts) -> Iterable[dict[str, JSON]]:
    for channel, count in counts.channels.items():
        yield {
            "type": "data-channel",
            "id": f"data-channel-{channel.label}",
            "label": channel.label,
            "protocol": channel.protocol,
            "dataChannelIdentifier": channel.id,
            "state": channel.readyState,
            "messagesSent": count.messages_sent,
            "bytesSent": count.bytes_sent,
            "messagesReceived": count.messages_received,
            "bytesReceived": count.bytes_received,
        }


def _transport_id(ice: RTCIceTransport) -> str:
    return f"transport-{ice.iceGatherer._connection.local_username}"  # noqa: SLF001 - unique for each transport


def _own_report(receiver: RTCRtpReceiver) -> Mapping[str, object]:
    return _without_waiting(receiver.getStats())


def _without_waiting(report: Coroutine[object, object, RTCStatsReport]) -> RTCStatsReport:
    """Return the result of a coroutine that never suspends: aiortc only reads attributes."""
    try:
        report.send(None)
    except StopIteration as done:
        result: RTCStatsReport = done.value
        return result
    finally:
        report.close()
    raise RuntimeError("expected aiortc to return statistics at once, got a coroutine that waits")


def _length(message: str | bytes) -> int:
    return len(message) if isinstance(message, bytes) else len(message.encode(errors="replace"))
