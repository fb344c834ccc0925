"""The bitrate of received video, measured in a time that does not depend on how long no packet arrived.

aiortc measures it with one bucket for each millisecond, and empties the old buckets when a packet arrives. It visits
every millisecond since the packet before. If the machine's clock jumps by a day, as after a suspension, that takes ten
seconds and more, in which the event loop does nothing else.
"""

from __future__ import annotations

from typing import override

from aiortc import RTCRtpReceiver
from aiortc.rate import RateCounter

from odyssey_client.rtc.aiortc_internals import warn_of_other_version

WINDOW_MS = 1000
"""Milliseconds over which the bitrate is measured, as in aiortc."""
BITS = 8000
"""Bits per second for one byte per millisecond."""


class IncomingRate(RateCounter):
    """A `RateCounter` of aiortc with the same results, which visits each bucket once at most."""

    _origin_ms: int | None

    @override
    def _erase_old(self, now_ms: int) -> None:
        if self._origin_ms is not None:
            # Further steps would visit buckets that are empty.
            surplus = now_ms - self._origin_ms - 2 * self._window_size + 1
            if surplus > 0:
                self._origin_ms += surplus
                self._origin_index = (self._origin_index + surplus) % self._window_size
        super()._erase_old(now_ms)


def install(receiver: RTCRtpReceiver) -> None:
    """Let a receiver of video use an `IncomingRate`. Call this before it receives its first packet.

    aiortc has no public way to do this. With a version that has other attributes, the receiver keeps its own counter.
    """
    estimator = vars(receiver).get("_RTCRtpReceiver__remote_bitrate_estimator")
    is_known = vars(RateCounter(WINDOW_MS)).keys() >= {"_origin_index", "_origin_ms", "_window_size"}
    if is_known and estimator is not None and type(vars(estimator).get("incoming_bitrate")) is RateCounter:
        estimator.incoming_bitrate = IncomingRate(WINDOW_MS, BITS)
    else:
        warn_of_other_version("bitrate estimator", "the event loop stops for seconds after a long jump of the clock")
