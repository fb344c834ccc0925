"""Tests of impaired networks in Chromium, with the official client: the browser's statistics show the effects."""

from collections.abc import Sequence
from typing import Any

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import OfficialClient, Statistics

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.odyssey(seed=1, portrait_size=(352, 640))]

PACKETS = 120
"""Number of packets of a lossy network that the browser gets: some seconds of video."""
LEAST_JITTER = 0.001
"""Minimum jitter in seconds that the browser measures (RFC 3550). The delays of the preset differ by up to 20 ms."""


async def received(official: OfficialClient, packets: int) -> Statistics:
    """Wait until the browser has received `packets` more packets of the video; return its statistics."""
    begun = (await official.statistics())["video"]["packetsReceived"]
    while True:
        statistics = await official.statistics()
        if statistics["video"]["packetsReceived"] >= begun + packets:
            return statistics
        await official.presented()


async def visit(official: OfficialClient, mock: MockOdyssey) -> tuple[Statistics, Sequence[int]]:
    """Watch a stream on a good and then on a lossy network; return the statistics, and the lost packets."""
    await official.connect(mock.api_key)
    await official.start_stream("A lighthouse in a storm")
    await received(official, 20)
    mock.change_settings(network_profile="lossy-wifi")
    statistics = await received(official, PACKETS)
    mock.change_settings(network_profile=None)
    entry = await mock.wait_for("note", "network losses")
    await official.disconnect()
    losses: Any = entry.data["to_client"]  # Any: JSON
    return statistics, [number for number in losses["media"]["lost_numbers"] if number <= PACKETS]


async def test_same_seed_loses_same_packets_in_chromium(official: OfficialClient, mock: MockOdyssey) -> None:
    statistics, lost = await visit(official, mock)
    video = statistics["video"]
    assert video["nackCount"] > 0
    assert video["packetsLost"] > 0
    assert video["retransmittedPacketsReceived"] > 0
    assert video["jitter"] >= LEAST_JITTER
    assert lost == [54, 55, 56, 57, 58, 112, 113]

    await mock.reset()
    _, again = await visit(official, mock)
    assert again == lost


@pytest.mark.odyssey(network_profile={"delay": 0.1})
async def test_delay_is_round_trip_time_of_chromium(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    while "currentRoundTripTime" not in (pair := (await official.statistics())["pair"]):
        await official.presented()
    assert 0.2 <= pair["currentRoundTripTime"] < 5
