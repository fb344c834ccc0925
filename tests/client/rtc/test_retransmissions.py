"""Tests of the requests for lost packets: at once, repeated, and given up with the jitter buffer."""

from collections.abc import Iterable

import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc import retransmissions
from odyssey_client.rtc.jitter_buffer import REPAIR_S
from odyssey_client.rtc.retransmissions import REPEAT_S, Retransmissions

INTERVAL_S = 0.05
"""Seconds between two frames of one packet."""
starts = st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1))
"""The sequence number and the timestamp of the first packet."""


def frame(index: int, start: tuple[int, int] = (0, 0)) -> RtpPacket:
    """Return the packet of frame `index`."""
    number, timestamp = start
    return RtpPacket(
        sequence_number=(number + index) % 2**16, timestamp=(timestamp + round(index * INTERVAL_S * 90_000)) % 2**32
    )


def requests(arriving: Iterable[int], start: tuple[int, int] = (0, 0)) -> list[tuple[int, set[int]]]:
    """Return the requests as pairs: the frame that arrived, and the frames that were requested then."""
    missing = Retransmissions()
    return [
        (index, {(number - start[0]) % 2**16 for number in missing.missing})
        for index in arriving
        if missing.add(frame(index, start))
    ]


@given(starts)
def test_lost_packet_is_requested_until_given_up(start: tuple[int, int]) -> None:
    every, limit = round(REPEAT_S / INTERVAL_S), round(REPAIR_S / INTERVAL_S)
    assert requests([0, *range(2, 60)], start) == [(index, {1}) for index in range(2, 2 + limit, every)]


@given(starts)
def test_packet_that_arrives_is_not_requested_again(start: tuple[int, int]) -> None:
    assert requests([0, 2, 3, 4, 1, *range(5, 60)], start) == [(2, {1}), (4, {1})]


def test_new_gap_requests_all_missing_packets() -> None:
    assert requests([0, 2, 4, 5, 6, 1, 3, 7, 8]) == [(2, {1}), (4, {1, 3}), (6, {1, 3})]


@given(st.lists(st.integers(0, 80), min_size=1, max_size=80, unique=True), starts)
def test_only_packets_between_arrived_ones_are_requested(arriving: list[int], start: tuple[int, int]) -> None:
    for index, requested in requests(arriving, start):
        before = arriving[: arriving.index(index) + 1]
        assert requested
        assert requested <= set(range(before[0], max(before))) - set(before)


async def test_other_version_of_aiortc_keeps_its_requests(caplog: pytest.LogCaptureFixture) -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video").receiver
    retransmissions.install(receiver)
    assert isinstance(vars(receiver)["_RTCRtpReceiver__nack_generator"], Retransmissions)
    del vars(receiver)["_RTCRtpReceiver__nack_generator"]
    retransmissions.install(receiver)
    assert "no replaceable NACK generator" in caplog.text
    assert "_RTCRtpReceiver__nack_generator" not in vars(receiver)
    await connection.close()
