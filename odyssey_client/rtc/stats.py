"""Statistics of an aiortc peer, with the names and units of the W3C recommendation (webrtc-stats).

aiortc's own report has few of the dictionaries, and some of its values have other units: jitter in units of the RTP
clock, and timestamps as dates. This module completes it with values that aiortc and aioice have as attributes.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field

from aioice import Candidate
from aiortc import RTCDataChannel, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver
from aiortc.stats import RTCInboundRtpStreamStats, RTCStatsReport, RTCTransportStats
from av import VideoFrame

from odyssey_client.models import JSON
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


@dataclass(slots=True)
class Counts:
    """Values of one peer that aiortc does not count.

    Attributes:
        frames: Number of decoded video frames.
        size: Width and height of the last frame; None before the first.
        channels: The data channels with their counts.
    """

    frames: int = 0
    size: tuple[int, int] | None = None
    channels: dict[RTCDataChannel, ChannelCounts] = field(default_factory=dict)

    def decoded(self, frame: VideoFrame) -> None:
        self.frames += 1
        self.size = frame.width, frame.height


def statistics(connection: RTCPeerConnection, counts: Counts, timestamp: float) -> dict[str, JSON]:
    """Return the report of a connection: dictionaries of webrtc-stats by their ids.

    Args:
        connection: The connection.
        counts: Values that aiortc does not count.
        timestamp: The time, in milliseconds since the epoch.
    """
    reports = [*_receivers(connection, counts), *_channels(counts)]
    for ice in ice_transports(connection):
        reports += _candidates(ice)
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
    for receiver in connection.getReceivers():
        ice = receiver.transport.transport
        for stats in _own_report(receiver).values():
            match stats:
                case RTCInboundRtpStreamStats():
                    yield _stream(stats, ice, counts)
                case RTCTransportStats():
                    yield _transport(stats, ice)


def _stream(stats: RTCInboundRtpStreamStats, ice: RTCIceTransport, counts: Counts) -> dict[str, JSON]:
    report: dict[str, JSON] = {
        "type": "inbound-rtp",
        "id": f"inbound-rtp-{stats.ssrc}",
        "ssrc": stats.ssrc,
        "kind": stats.kind,
        "transportId": _transport_id(ice),
        "packetsReceived": stats.packetsReceived,
        "packetsLost": stats.packetsLost,
        "jitter": stats.jitter / CLOCK_RATES.get(stats.kind, 90_000),
    }
    if stats.kind == "video":
        report["framesDecoded"] = counts.frames
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


def _candidates(ice: RTCIceTransport) -> Iterable[dict[str, JSON]]:
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
