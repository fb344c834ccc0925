"""Tests of the jitter buffer with packets in any order, lost, repeated, and without markers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

import pytest
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc import jitter_buffer
from odyssey_client.rtc.jitter_buffer import CAPACITY, KEYFRAME_S, MAX_DROPOUT, REPAIR_S, JitterBuffer, is_keyframe

VP8, OTHER = 96, 100
KEY, DELTA = b"\x10", b"\x11"
"""The first byte of a VP8 frame, whose lowest bit is 0 in a keyframe."""
INTERVAL = 4500
"""Ticks between two frames at 20 frames per second."""


@dataclass(eq=False)
class Packet:
    """An RTP packet after aiortc has removed the header of its payload."""

    marker: int
    payload_type: int
    sequence_number: int
    timestamp: int
    _data: bytes


@dataclass(frozen=True)
class Sent:
    """The packets of one frame."""

    data: bytes
    packets: Sequence[Packet]


def frames(
    sizes: Iterable[int],
    *,
    first: int = 0,
    start: int = 0,
    markers: bool = True,
    keyframes: Iterable[int] = (0,),
    payload_type: int = VP8,
) -> list[Sent]:
    """Create frames with the given numbers of packets; `first` is the first sequence number, `start` the timestamp."""
    keys, number, found = set(keyframes), first, []
    for index, size in enumerate(sizes):
        packets = []
        for place in range(size):
            head = (KEY if index in keys else DELTA) if place == 0 else b""
            packet = Packet(
                marker=int(markers and place == size - 1),
                payload_type=payload_type,
                sequence_number=number % (1 << 16),
                timestamp=(start + index * INTERVAL) % (1 << 32),
                _data=head + b"%d.%d;" % (index, place),
            )
            packets.append(packet)
            number += 1
        found.append(Sent(b"".join(packet._data for packet in packets), packets))
    return found


def packets(sent: Iterable[Sent]) -> list[Packet]:
    return [packet for frame in sent for packet in frame.packets]


def buffer() -> JitterBuffer:
    return JitterBuffer({VP8: "VP8"}.get)


def received(into: JitterBuffer, arriving: Iterable[Packet]) -> list[bytes]:
    """Return the data of the frames that the buffer passes on."""
    found = []
    for packet in arriving:
        _, frame = into.add(packet)
        if frame is not None:
            found += [each.data for each in (frame, *frame.following)]
    return found


sizes = st.lists(st.integers(1, 5), min_size=1, max_size=30)
starts = st.sampled_from([0, 7, 65_530, 65_535])
timestamps = st.sampled_from([0, (1 << 32) - INTERVAL, (1 << 32) - 1])


@given(sizes, starts, timestamps)
def test_frame_is_complete_with_its_last_packet(sizes: list[int], first: int, start: int) -> None:
    into = buffer()

    for frame in frames(sizes, first=first, start=start):
        assert received(into, frame.packets) == [frame.data]


def test_delay_of_frame_counts_from_its_first_packet() -> None:
    time = 10.0
    into = JitterBuffer({VP8: "VP8"}.get, lambda: time)
    first, second = frames([2, 1])
    received(into, first.packets[:1])
    time = 10.3
    received(into, second.packets)
    time = 10.5
    assert received(into, first.packets[1:]) == [first.data, second.data]
    assert (into.emitted, into.dropped, round(into.delay_s, 6)) == (2, 0, 0.5 + 0.2)


@given(sizes, st.data())
def test_arrival_times_are_kept_only_for_waiting_frames(sizes: list[int], data: st.DataObject) -> None:
    into = buffer()
    sent = packets(frames(sizes * 20))
    lost = data.draw(st.sets(st.integers(0, len(sent) - 1), max_size=20), label="lost")
    doubled = data.draw(st.sets(st.integers(0, len(sent) - 1), max_size=20), label="doubled")
    for index, packet in enumerate(sent):
        if index not in lost:
            # The timestamp of a duplicate is not checked: an attacker or a faulty sender may choose another.
            again = [replace(packet, timestamp=(1 << 31) + index)] if index in doubled else []
            received(into, [packet, *again])
    waiting = {packet.timestamp for packet in into._packets.values()}
    assert set(into._arrived) == waiting


@given(sizes, starts, timestamps)
def test_frame_without_marker_ends_with_next_frame(sizes: list[int], first: int, start: int) -> None:
    sent = frames(sizes, first=first, start=start, markers=False)

    assert received(buffer(), packets(sent)) == [frame.data for frame in sent[:-1]]


@given(sizes, starts, st.booleans(), st.data())
def test_order_and_duplicates_make_no_difference(
    sizes: list[int], first: int, markers: bool, data: st.DataObject
) -> None:
    sent = frames([1, *sizes], first=first, markers=markers)
    start, later = sent[0].packets[0], packets(sent[1:])
    order = sorted(range(len(later)), key=lambda place: place + data.draw(st.integers(0, 8), label="delay"))
    doubled = [each for place in order for each in [later[place]] * data.draw(st.integers(1, 2), label="copies")]

    expected = sent if markers else sent[:-1]
    assert received(buffer(), [start, *doubled]) == [frame.data for frame in expected]


def test_repeated_packet_releases_all_frames_that_waited() -> None:
    sent = frames([1, 2, 1, 1, 3])
    missing = sent[1].packets[0]
    into = buffer()
    assert received(into, sent[0].packets) == [sent[0].data]
    assert received(into, [each for each in packets(sent[1:]) if each is not missing]) == []

    assert received(into, [missing]) == [frame.data for frame in sent[1:]]


@given(st.lists(st.integers(1, 4), min_size=40, max_size=60), st.booleans(), st.data())
def test_frames_with_missing_packets_are_dropped(sizes: list[int], markers: bool, data: st.DataObject) -> None:
    keyframes = data.draw(st.sets(st.integers(0, len(sizes))), label="keyframes") | {0}
    sent = frames(sizes, markers=markers, keyframes=keyframes)
    lost = data.draw(st.sets(st.integers(1, sum(sizes) - 1), max_size=20), label="lost packets")
    arriving = [each for place, each in enumerate(packets(sent)) if place not in lost]

    found = received(buffer(), arriving)

    assert set(found) <= {frame.data for frame in sent}
    order = {frame.data: place for place, frame in enumerate(sent)}
    assert [order[each] for each in found] == sorted({order[each] for each in found})
    if markers:
        whole = takewhile(lambda frame: all(packet in arriving for packet in frame.packets), sent)
        before = [frame.data for frame in whole]
        assert found[: len(before)] == before


@pytest.mark.parametrize("markers", [True, False])
def test_lost_packet_requests_a_keyframe_in_time(markers: bool) -> None:
    frames_waited = int(REPAIR_S * 20)
    sent = frames([2] * 40, markers=markers, keyframes=[0, 30])
    into = buffer()
    wanted: dict[int, bool] = {}
    found: list[bytes] = []
    for index, frame in enumerate(sent):
        for packet in frame.packets[1 if index == 3 else 0 :]:
            wants, complete = into.add(packet)
            wanted[index] = wanted.get(index, False) or wants
            found += [] if complete is None else [each.data for each in (complete, *complete.following)]

    requests = [index for index, wants in wanted.items() if wants]
    assert requests[0] - 3 in {frames_waited, frames_waited + 1}
    assert [later - earlier for earlier, later in pairwise(requests)] == [10], requests
    # Without markers, a frame is known to be complete only if the packet after it has arrived.
    expected = (*sent[:3], *sent[30:]) if markers else (*sent[:2], *sent[30:39])
    assert found == [frame.data for frame in expected]


def test_frames_are_passed_on_when_no_keyframe_arrives() -> None:
    sent = frames([2] * 80)
    arriving = [each for each in packets(sent) if each is not sent[3].packets[1]]

    found = received(buffer(), arriving)

    held = int(KEYFRAME_S * 20)
    assert found[:3] == [frame.data for frame in sent[:3]]
    assert found[3:] == [frame.data for frame in sent[4 + held :]]


def test_frame_larger_than_the_buffer_is_given_up() -> None:
    sent = frames([1, CAPACITY + 10, 1, 1], keyframes=[0, 2])

    assert received(buffer(), packets(sent)) == [frame.data for frame in (sent[0], *sent[2:])]


@pytest.mark.parametrize("first", [MAX_DROPOUT + 10, 40_000])
def test_restarted_sender_is_followed(first: int) -> None:
    before, after = frames([2, 2]), frames([2, 2], first=first, start=123_456)
    into = buffer()
    received(into, packets(before))

    assert received(into, packets(after)) == [frame.data for frame in after]


def test_single_packet_of_another_sequence_changes_nothing() -> None:
    sent = frames([2, 2, 2])
    stray = frames([1], first=30_000, start=99)[0].packets[0]

    assert received(buffer(), [*packets(sent[:2]), stray, *packets(sent[2:])]) == [frame.data for frame in sent]


def test_padding_between_frames_is_no_frame() -> None:
    sent = frames([2, 1, 2])
    sent[1].packets[0]._data = b""
    sent[1].packets[0].timestamp = sent[0].packets[0].timestamp
    sent[1].packets[0].marker = 0

    assert received(buffer(), packets(sent)) == [sent[0].data, sent[2].data]


def test_markers_inside_frames_are_ignored_from_then_on() -> None:
    sent = frames([4] * 6)
    for frame in sent:
        frame.packets[1].marker = 1

    found = received(buffer(), packets(sent))

    assert found[0] == b"".join(each._data for each in sent[0].packets[:2])
    assert found[2:] == [frame.data for frame in sent[1:-1]]


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        ("VP8", b"\x10\x00", True),
        ("VP8", b"\x11\x00", False),
        ("H264", b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65slice", True),
        ("H264", b"\0\0\0\1\x41slice", False),
        ("VP9", b"\x11", True),
        (None, b"\x11", True),
    ],
)
def test_keyframes_are_recognized(codec: str | None, data: bytes, expected: bool) -> None:
    assert is_keyframe(codec, data) is expected


async def test_installed_buffer_replaces_that_of_aiortc() -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video").receiver

    jitter_buffer.install(receiver)

    assert isinstance(vars(receiver)["_RTCRtpReceiver__jitter_buffer"], JitterBuffer)
    await connection.close()


async def test_frames_that_waited_keep_their_times() -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video").receiver
    jitter_buffer.install(receiver)
    into, queue = (vars(receiver)[f"_RTCRtpReceiver__{name}"] for name in ("jitter_buffer", "decoder_queue"))
    sent = frames([1, 2, 1, 1], start=(1 << 32) - INTERVAL)

    for packet in [sent[0].packets[0], *packets(sent[1:])[1:], sent[1].packets[0]]:
        _, frame = into.add(packet)
        if frame is not None:
            frame.timestamp = 0 if frame.data == sent[0].data else INTERVAL  # as aiortc does
            queue.put(("VP8", frame))

    passed_on = [queue.get_nowait() for _ in sent]
    assert [(frame.data, frame.timestamp) for _, frame in passed_on] == [
        (frame.data, index * INTERVAL) for index, frame in enumerate(sent)
    ]
    await connection.close()
