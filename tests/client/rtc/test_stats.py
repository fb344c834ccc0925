"""Tests of the values of `stats()` that aiortc does not have."""

from collections.abc import Sequence

import av
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver

from odyssey_client import Odyssey
from odyssey_client.rtc.stats import Counts


def counted(intervals: Sequence[float]) -> Counts:
    """Return the counts of a video whose frames arrive after these intervals in seconds."""
    counts, now = Counts(), 100.0
    frame = av.VideoFrame(64, 32)
    counts.decoded(frame, now)
    for interval in intervals:
        now += interval
        counts.decoded(frame, now)
    return counts


@pytest.mark.parametrize(
    ("intervals", "freezes", "frozen_s"),
    [
        ([0.05] * 40, 0, 0.0),
        ([0.05] * 40 + [0.19], 0, 0.0),
        ([0.05] * 40 + [0.21], 1, 0.21),  # 150 ms later than usual
        ([0.2] * 40 + [0.59], 0, 0.0),
        ([0.2] * 40 + [0.61], 1, 0.61),  # three times as late as usual
        ([0.05] * 40 + [2, 0.05, 0.05, 3], 2, 5.0),
        ([5], 0, 0.0),  # without earlier intervals, nothing is usual
    ],
)
def test_late_frames_are_freezes(intervals: Sequence[float], freezes: int, frozen_s: float) -> None:
    counts = counted(intervals)
    assert (counts.freezes, round(counts.frozen_s, 6)) == (freezes, frozen_s)
    assert counts.frames == len(intervals) + 1
    assert counts.size == (64, 32)


def test_mean_follows_latest_intervals() -> None:
    """The video has become slower: after nine intervals of 1 s, the mean is a third of a second, so 1 s is usual."""
    counts = counted([0.05] * 40 + [1.0] * 60)
    assert (counts.freezes, counts.frozen_s) == (9, 9.0)


def test_round_trips_are_summed_up() -> None:
    counts = Counts()
    counts.round_trip(0.2)
    counts.round_trip(0.3)
    assert (counts.answered, counts.round_trips, counts.latest_round_trip) == (2, 0.5, 0.3)


@pytest.mark.parametrize("method", ["_send_rtcp_nack", "_send_rtcp_pli"])
async def test_other_version_of_aiortc_counts_no_requests(
    method: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video").receiver
    counts = Counts()
    counts.count_requests(receiver)
    assert counts.counts_requests
    monkeypatch.delattr(RTCRtpReceiver, method)
    other, counts = connection.addTransceiver("video").receiver, Counts()
    before = vars(other).copy()
    counts.count_requests(other)
    assert not counts.counts_requests
    assert vars(other) == before
    assert "statistics have no nackCount and pliCount" in caplog.text
    await connection.close()


async def test_statistics_are_empty_without_connection() -> None:
    async with Odyssey.keyless() as client:
        assert client.stats() == {}
