"""Tests of a track's packet queue: order, limit, dropped packets of a slow sender, and end."""

import asyncio
from fractions import Fraction
from typing import cast

import av
import pytest
from aiortc.mediastreams import MediaStreamError
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.encoder import VideoPacket
from odyssey_mock.rtc.packet_track import PacketTrack

LIMIT = 10.0


def packet(number: int, *, key: bool = False) -> VideoPacket:
    made = av.Packet(bytes([number % 256]))
    made.pts, made.time_base, made.is_keyframe = number, Fraction(1, 20), key
    return cast("VideoPacket", made)


def numbers(track: PacketTrack) -> list[int | None]:
    return [each.pts for each in track._packets]


async def test_recv_returns_packets_in_order_or_waits() -> None:
    track = PacketTrack()
    track.push(packet(0, key=True))
    assert (await track.recv()).pts == 0
    waiting = asyncio.create_task(track.recv())
    track.push(packet(1))
    assert (await waiting).pts == 1


async def test_track_has_begun_until_it_drops_packets() -> None:
    track = PacketTrack(limit=1)
    pushed = [packet(0), packet(1, key=True), packet(2)]
    assert [(track.push(each), track.has_begun) for each in pushed] == [(False, False), (True, True), (False, False)]


async def test_stop_ends_a_waiting_recv() -> None:
    track = PacketTrack()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ended(track))
        track.stop()
    assert waiting.result()


async def ended(track: PacketTrack) -> bool:
    with pytest.raises(MediaStreamError):
        await track.recv()
    return True


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 10))
def test_queue_is_bounded_and_stays_decodable(keys: list[bool], limit: int) -> None:
    async def run() -> None:
        track = PacketTrack(limit=limit)
        for number, key in enumerate([True, *keys]):
            track.push(packet(number, key=key))
            kept = numbers(track)
            assert len(kept) <= limit
            assert track.dropped + len(kept) == number + 1
            if kept:
                assert kept == list(range(kept[0] or 0, number + 1)), (
                    f"expected consecutive packets up to packet {number}, got {kept}"
                )
                assert kept[0] == 0 or keys[(kept[0] or 0) - 1], (
                    f"expected a key frame as the first queued packet, got packet {kept[0]}"
                )

    asyncio.run(run())


def test_push_returns_false_until_next_key_frame() -> None:
    track = PacketTrack(limit=2)
    assert [track.push(packet(number, key=number == 0)) for number in range(4)] == [True, True, False, False]
    assert track.push(packet(4, key=True))
    assert track.push(packet(5))


def test_track_begins_with_a_key_frame() -> None:
    track = PacketTrack()
    assert [track.push(packet(number, key=number == 2)) for number in range(4)] == [False, False, True, True]
    assert (numbers(track), track.dropped) == ([2, 3], 2)


async def test_finished_track_ends_after_queued_packets() -> None:
    track = PacketTrack()
    for number in range(3):
        track.push(packet(number, key=number == 0))
    track.finish()
    assert track.push(packet(3, key=True)), "expected push() to return True after finish(), got False"
    async with asyncio.timeout(LIMIT):
        assert [(await track.recv()).pts for _ in range(3)] == [0, 1, 2]
        draining = asyncio.create_task(track.drained())
        assert await asyncio.wait([draining], timeout=0) == (set(), {draining})
        assert await ended(track)
        await draining


async def test_finish_ends_a_waiting_recv() -> None:
    track = PacketTrack()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ended(track))
        await asyncio.wait([waiting], timeout=0)
        track.finish()
    assert waiting.result()


async def test_packets_are_delivered_in_order_instead_of_queued() -> None:
    track, sent = PacketTrack(limit=2), list[int | None]()
    for number in range(2):
        track.push(packet(number, key=number == 0))
    track.deliver(lambda each: sent.append(each.pts))
    assert [track.push(packet(number)) for number in range(2, 6)] == [True] * 4
    assert (sent, numbers(track), track.dropped) == ([0, 1, 2, 3, 4, 5], [], 0)
    track.finish()
    async with asyncio.timeout(LIMIT):
        await track.drained()
    assert track.push(packet(6, key=True))
    assert sent == [0, 1, 2, 3, 4, 5], "expected no packet after the end of the track"


async def test_finished_track_ends_after_delivery() -> None:
    track, sent = PacketTrack(), list[int | None]()
    track.push(packet(0, key=True))
    track.finish()
    track.deliver(lambda each: sent.append(each.pts))
    assert (sent, track.readyState) == ([0], "ended")


async def test_stop_during_delivery_leaves_the_other_packets() -> None:
    track, sent = PacketTrack(), list[int | None]()
    for number in range(3):
        track.push(packet(number, key=number == 0))

    def fail(each: VideoPacket) -> None:
        sent.append(each.pts)
        track.stop()

    track.deliver(fail)
    assert track.push(packet(3))
    assert sent == [0]
