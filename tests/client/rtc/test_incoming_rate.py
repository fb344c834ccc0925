"""Tests of the measured bitrate: the results of aiortc, in a time that a jump of the clock does not change."""

import pytest
from aiortc import RTCPeerConnection
from aiortc.rate import RateCounter
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc import incoming_rate
from odyssey_client.rtc.incoming_rate import BITS, WINDOW_MS, IncomingRate

NAME = "_RTCRtpReceiver__remote_bitrate_estimator"
YEAR_MS = 365 * 86_400_000


def rates(counter: RateCounter, packets: list[tuple[int, int]]) -> list[int | None]:
    """Return the rate after each packet; a packet is the milliseconds since the one before, and its bytes."""
    now, measured = 1_000_000, []
    for wait, size in packets:
        now += wait
        counter.add(size, now)
        measured.append(counter.rate(now))
    return measured


@given(st.lists(st.tuples(st.integers(-3000, 3000), st.integers(1, 1500)), max_size=8))
def test_rates_are_those_of_aiortc(packets: list[tuple[int, int]]) -> None:
    assert rates(IncomingRate(WINDOW_MS, BITS), packets) == rates(RateCounter(WINDOW_MS, BITS), packets)


@pytest.mark.timeout(20)  # aiortc's counter takes an hour
def test_jump_of_the_clock_takes_no_time() -> None:
    assert rates(IncomingRate(WINDOW_MS, BITS), [(0, 1000), (1, 1000), (YEAR_MS, 500), (1, 500)]) == [
        None,
        8_000_000,
        4_000,
        8_000,
    ]


async def test_receiver_of_video_gets_the_counter() -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    incoming_rate.install(receiver)
    assert isinstance(vars(receiver)[NAME].incoming_bitrate, IncomingRate)
    await connection.close()


@pytest.mark.parametrize("missing", [(NAME,), (NAME, "incoming_bitrate")], ids=".".join)
async def test_other_version_of_aiortc_keeps_its_counter(
    missing: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    *owners, attribute = missing
    owner = vars(receiver)[owners[0]] if owners else receiver
    del vars(owner)[attribute]
    incoming_rate.install(receiver)
    assert attribute not in vars(owner)
    assert "this version of aiortc has no replaceable bitrate estimator" in caplog.text
    await connection.close()


async def test_receiver_of_audio_keeps_having_no_counter(caplog: pytest.LogCaptureFixture) -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("audio", direction="recvonly").receiver
    incoming_rate.install(receiver)
    assert "this version of aiortc has no replaceable bitrate estimator" in caplog.text
    await connection.close()


async def test_other_counter_of_aiortc_is_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class OtherCounter(RateCounter):
        def __init__(self, window_size: int, scale: int = BITS) -> None:
            super().__init__(window_size, scale)
            self._start_ms = vars(self).pop("_origin_ms")

    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    monkeypatch.setattr(incoming_rate, "RateCounter", OtherCounter)
    counter = vars(receiver)[NAME].incoming_bitrate = OtherCounter(WINDOW_MS)
    incoming_rate.install(receiver)
    assert vars(receiver)[NAME].incoming_bitrate is counter
    assert "this version of aiortc has no replaceable bitrate estimator" in caplog.text
    await connection.close()
