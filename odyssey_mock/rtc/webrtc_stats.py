"""Statistics and states of an aiortc connection, with the names and units of the W3C (webrtc-stats, webrtc-pc)."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCPeerConnection

from odyssey_mock.core.strict_json import JSON

type Reports = dict[str, dict[str, JSON]]
"""Statistics: reports by id."""

VIDEO_CLOCK_RATE = 90_000
"""Ticks per second of the RTP timestamps of video (RFC 6184, RFC 7741). aiortc reports the jitter in ticks."""
_FRACTIONS = 256
"""RTCP reports the fraction of lost packets as a number of 256ths (RFC 3550 section 6.4.1)."""

type StateObserver = Callable[[str, str], object]
"""A function `observer(transport, state)`."""


async def statistics(connection: RTCPeerConnection) -> Reports:
    """Return the statistics of a connection; empty for one that is closed."""
    if connection.connectionState == "closed":
        return {}
    return {name: _report(stats) for name, stats in (await connection.getStats()).items()}


def observe_states(connection: RTCPeerConnection, observer: StateObserver) -> None:
    """Call `observer` for every change of a state of a connection that has no description yet."""

    def watch(transport: str, event: str, attribute: str) -> None:
        connection.on(event, lambda: observer(transport, getattr(connection, attribute)))

    watch("ice", "iceconnectionstatechange", "iceConnectionState")
    watch("gathering", "icegatheringstatechange", "iceGatheringState")
    watch("signaling", "signalingstatechange", "signalingState")
    watch("connection", "connectionstatechange", "connectionState")

    watched = set[int]()

    def watch_dtls() -> None:
        # The transports exist as soon as there is a description. With BUNDLE, all sections use one.
        senders = [each.sender.transport for each in connection.getTransceivers()]
        sctp = [] if connection.sctp is None else [connection.sctp.transport]
        for transport in (*senders, *sctp):
            if id(transport) not in watched:
                watched.add(id(transport))
                transport.on("statechange", lambda each=transport: observer("dtls", each.state))

    connection.on("signalingstatechange", watch_dtls)


def _report(stats: Any) -> dict[str, JSON]:  # Any: a dataclass of aiortc
    values: Mapping[str, Any] = dataclasses.asdict(stats)
    report = {name: _value(value) for name, value in values.items() if value is not None}
    for name, unit in (("jitter", VIDEO_CLOCK_RATE), ("fractionLost", _FRACTIONS)):
        value = report.get(name)
        if isinstance(value, int | float):
            report[name] = value / unit
    return report


def _value(value: Any) -> JSON:  # Any: a value of a field
    if isinstance(value, datetime.datetime):
        return value.timestamp() * 1000
    return value if isinstance(value, bool | int | float | str) else str(value)
