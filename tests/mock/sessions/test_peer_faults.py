"""Tests of every fault of the peer connection, with a client that sends and receives raw protocol messages."""

import asyncio
from itertools import pairwise

import pytest
from aiortc import RTCIceTransport
from av import VideoFrame

from odyssey_mock import MockOdyssey
from odyssey_mock.sessions.session_machine import SessionState
from tests.support.raw import LIMIT, RawPeer
from tests.support.showing_faults import Cases, Stage, no_warnings
from tests.support.streams import START, start
from tests.support.visits import SMALL, goes, picture, round_trip, stamp_of, stamps, track_ends, visits
from tests.support.whep import RawSpectator, go_live

CASES = Cases("peer.")

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=SMALL)


@pytest.mark.usefixtures("quick_consent")
@pytest.mark.parametrize(("point", "do", "seconds"), CASES.entries)
async def test_fault_has_its_documented_effect(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, point: str, do: str, seconds: float
) -> None:
    async with no_warnings(caplog):
        await CASES.show(odyssey_mock, point, do, seconds)


# Before the peer is connected


@CASES.of("peer.ice", "never")
async def no_check_is_answered(stage: Stage) -> None:
    stage.add()
    async with stage.to.halfway() as peer:
        assert await goes(peer, "failed") == "failed"
        assert "a=candidate:" in peer.connection.remoteDescription.sdp, "expected ICE candidates in the offer, got none"
        await round_trip(peer.socket)
        assert stage.to.session.state is SessionState.CONNECTING
        # A candidate that arrives later does not connect the peer either.
        await peer.say_on_socket({"type": "ice_candidate", "candidate": "", "sdpMid": "0", "sdpMLineIndex": 0})
        await stage.mock.wait_for("signaling", "ice_candidate")
        assert stage.to.session.state is SessionState.CONNECTING
        await stage.mock.advance(900)
        assert stage.to.slot_is_free()


@CASES.of("peer.dtls", "fail")
async def the_fingerprint_is_another(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.halfway() as peer:
        assert await goes(peer, "failed") == "failed"
        assert peer.channels == {}
        states = {transport.state for transport in ice_of(peer)}
        assert states == {"completed"}, (
            f"expected only DTLS to fail and ICE to be completed, got the ICE states {states}"
        )


def ice_of(peer: RawPeer) -> set[RTCIceTransport]:
    return {each.sender.transport.transport for each in peer.connection.getTransceivers()}


@CASES.of("peer.channels", "never")
async def channels_never_open(stage: Stage) -> None:
    stage.add()
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")
        for _ in range(5):
            await picture(peer)
        assert peer.channels == {}


@CASES.of("peer.channels", "delay")
async def channels_open_after_the_delay(stage: Stage) -> None:
    stage.add()
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")

        async def no_channel_is_open() -> bool:
            await picture(peer)
            return peer.channels == {}

        await stage.due(no_channel_is_open)
        await comes_up(peer)


# While the peer is connected


@CASES.of("peer.connected", "vanish")
async def the_peer_is_silent_and_the_socket_is_not(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")
        if stage.seconds:
            await comes_up(peer)
        await stage.due()
        await peer.say_on_socket(START)
        await stage.mock.wait_for("state", "stream", to="running")
        assert stage.to.session.stream is not None
        assert await goes(peer, "failed", "closed")
        assert peer.inbox.empty(), f"expected no messages from the vanished peer, got {peer.inbox.qsize()} messages"
        await stage.to.reaches("held")
    async with stage.to.peer() as peer:
        peer.say(START)
        assert (await peer.hear())["type"] == "stream_started", "expected the reply that the vanished peer did not send"
        answer = await peer.hear()
        assert answer.get("reason") == "stream_already_active", (
            f"expected the rejection of the second start (stream_already_active) as the next message, got {answer}"
        )


async def comes_up(peer: RawPeer) -> None:
    async with asyncio.timeout(LIMIT):
        await peer._opened.wait()
    await picture(peer)


@CASES.of("peer.connected", "freeze")
async def neither_peer_nor_socket_says_anything(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")
        if stage.seconds:
            await comes_up(peer)
        await stage.due()
        await peer.say_on_socket(START)
        await peer.say_on_socket({"type": "client_disconnecting"})
        assert await goes(peer, "failed", "closed")
        await round_trip(peer.socket)
        stage.mock.expect_none("interactive_stream_start")
        assert stage.to.session.state is SessionState.CONNECTED, (
            f"expected the session to stay connected while its connection is frozen, got {stage.to.session.state}"
        )
        await peer.socket.close(4000)
        await stage.to.reaches("held")
    async with stage.to.peer() as peer:
        await start(peer)


@CASES.of("peer.connected", "close")
async def the_peer_is_closed_and_the_socket_is_not(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")
        if stage.seconds:
            await comes_up(peer)
        await stage.due()
        assert await goes(peer, "closed", "failed")
        await round_trip(peer.socket)
        assert stage.to.session.state is SessionState.CONNECTED
        await peer.socket.close(4000)
        await stage.to.reaches("held")
    async with stage.to.peer() as peer:
        await start(peer)


@CASES.of("peer.connected", "end_track")
async def the_track_ends_and_all_else_goes_on(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await stage.due()
        await track_ends(peer)
        await start(peer)
        assert stage.to.session.state is SessionState.CONNECTED


@CASES.of("peer.connected", "close_channels")
async def the_channels_close_and_all_else_goes_on(stage: Stage) -> None:
    stage.add()
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")
        if stage.seconds:
            await comes_up(peer)
        await stage.due()
        async with asyncio.timeout(LIMIT):
            while [channel.readyState for channel in peer.channels.values()] != ["closed", "closed"]:
                await picture(peer)
        await peer.say_on_socket(START)
        await stage.mock.wait_for("state", "stream", to="running")
        for _ in range(5):
            await picture(peer)
        assert peer.inbox.empty()


@CASES.of("peer.connected", "impair")
async def the_network_is_impaired_for_a_while(stage: Stage) -> None:
    stage.add(times=1, network_profile={"loss": 1, "traffic": ["media"]}, duration=7)
    async with stage.to.halfway() as peer:
        await stage.to.reaches("connected")
        if stage.seconds:
            await comes_up(peer)
            await stage.due()
        await stage.mock.wait_for("note", "network changed")
        await round_trip(peer.socket)
        await stage.mock.advance(7)
        if not stage.seconds:
            await comes_up(peer)
        else:
            await picture(peer)
    changed = [each.data["why"] for each in stage.mock.journal.find("note", "network changed")]
    label = "fault-1 (peer.connected impair)"
    assert changed == [label, f"the end of {label}"]


# Frames


OURS = {"prompt": START["prompt"]}
"""A `match` that selects the frames of the stream, but not those of the idle scene."""


@CASES.of("peer.frame", "freeze")
async def a_frame_is_sent_once_more(stage: Stage) -> None:
    stage.add(after=5, times=3, match=OURS)
    assert await indexes(stage, 10) == [0, 1, 2, 3, 4, 4, 4, 4, 8, 9]


@CASES.of("peer.frame", "drop")
async def frames_are_not_sent(stage: Stage) -> None:
    stage.add(after=5, times=3, match=OURS)
    assert await indexes(stage, 8) == [0, 1, 2, 3, 4, 8, 9, 10]


async def indexes(stage: Stage, count: int) -> list[int]:
    async with stage.to.peer() as peer:
        tag = stage.mock.streams[await start(peer)].timeline.tag
        return [stamp.frame_index for stamp in await stamps(peer, count, tag=tag)]


@CASES.of("peer.frame", "late")
async def a_frame_and_those_behind_it_are_late(stage: Stage) -> None:
    stage.mock.faults.add({"at": stage.point, "do": stage.do, "seconds": 0.5, "after": 5, "times": 1, "match": OURS})
    loop = asyncio.get_running_loop()
    async with stage.to.peer() as peer:
        tag = stage.mock.streams[await start(peer)].timeline.tag
        got: list[tuple[int, float]] = []
        for _ in range(8):
            (stamp,) = await stamps(peer, 1, tag=tag)
            got.append((stamp.frame_index, loop.time()))
    assert [index for index, _ in got] == list(range(8)), f"expected frames 0 to 7 in order, got {got}"
    gaps = [after - before for (_, before), (_, after) in pairwise(got)]
    # aiortc returns a frame when the next one begins to arrive.
    assert max(gaps) == max(gaps[3:5]) >= 0.4


@CASES.of("peer.frame", "resize")
async def frames_have_another_size(stage: Stage) -> None:
    stage.add(width=320, height=160, after=5, times=3, match=OURS)
    async with stage.to.peer() as peer:
        tag = stage.mock.streams[await start(peer)].timeline.tag
        seen: list[VideoFrame] = []
        while len(seen) < 10:
            frame = await picture(peer)
            seen += [frame] if stamp_of(frame).stream_tag == tag else []
    read = [stamp_of(frame).frame_index for frame in seen]
    assert read == list(range(10)), f"expected stamps of the frames 0 to 9 in order, got {read}"
    assert [(frame.width, frame.height) for frame in seen] == [SMALL] * 5 + [(320, 160)] * 3 + [SMALL] * 2


async def test_frame_fault_without_match_affects_idle_frames(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="peer.frame", do="freeze")
    async with visits(odyssey_mock) as to, to.peer() as peer:
        assert len({stamp.frame_index for stamp in await stamps(peer, 5, tag=None)}) == 1
        await start(peer)


async def test_idle_frame_after_a_stream_is_frozen(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        while stamp_of(await picture(peer)).stream_tag is None:
            continue
        odyssey_mock.faults.add(at="peer.frame", do="freeze")
        peer.say({"type": "interactive_stream_end"})
        (frozen,) = {stamp.frame_index for stamp in await stamps(peer, 5, tag=None)}
    assert frozen > 0


async def test_frozen_mock_sends_no_shutdown_error(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="peer.connected", do="freeze", seconds=5)
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await odyssey_mock.advance(5)
        await odyssey_mock.backend.sessions.close()
        assert to.slot_is_free()
        assert [message async for message in peer.socket] == []


@pytest.mark.odyssey(hls=False)
async def test_ended_track_causes_no_extra_key_frames(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as host:
        live = await go_live(odyssey_mock, host)
        odyssey_mock.faults.add(at="peer.connected", do="end_track")
        await to.lose(host.socket)
        async with to.peer(), RawSpectator(live) as spectator:
            await spectator.frame()
            count = [(await spectator.frame()).key_frame for _ in range(25)].count(True)
            assert count == 0, f"expected the ended track to cause no key frames, got {count} in 25 frames"
