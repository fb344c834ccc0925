"""Tests of held sessions: a client whose connection was lost or not closed properly can resume its session."""

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable

import pytest
from aiortc import RTCPeerConnection
from websockets.asyncio.client import ClientConnection

from odyssey_mock import MockOdyssey
from odyssey_mock.rtc.impaired_datagrams import ImpairedDatagrams
from odyssey_mock.sessions.session_machine import SessionState
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, RawPeer, receive
from tests.support.streams import START, start
from tests.support.visits import SMALL, Visits, close_code, grow, picture, stamp_of, stamps, visits
from tests.support.whep import RawSpectator, go_live

manual = pytest.mark.odyssey(clock="manual", portrait_size=SMALL)

# Ways in which a client is lost


def silence(connection: RTCPeerConnection) -> None:
    """Let nothing pass between the peer and the mock from now on."""
    datagrams = ImpairedDatagrams(contextvars.copy_context())
    datagrams.attach(connection)
    datagrams.cut()


async def breaks(socket: ClientConnection, _: RawPeer) -> None:
    socket.transport.abort()


async def leaves_it_behind(socket: ClientConnection, _: RawPeer) -> None:
    await socket.close(4000)


async def closes_with_an_error(socket: ClientConnection, _: RawPeer) -> None:
    await socket.close(1011)


async def falls_silent(_: ClientConnection, peer: RawPeer) -> None:
    silence(peer.connection)


LOSSES = [breaks, leaves_it_behind, closes_with_an_error, falls_silent]


@manual
@pytest.mark.parametrize("lose", LOSSES)
async def test_stream_continues_for_returning_client(
    odyssey_mock: MockOdyssey,
    lose: Callable[[ClientConnection, RawPeer], Awaitable[None]],
    request: pytest.FixtureRequest,
) -> None:
    if lose is falls_silent:
        request.getfixturevalue("quick_consent")
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            stream = await start(peer)
            tag = odyssey_mock.streams[stream].timeline.tag
            seen = await stamps(peer, 5, tag=tag)
            await lose(peer.socket, peer)
            await to.reaches("held")
            assert to.session.stream is odyssey_mock.streams[stream], (
                f"expected the held session to keep stream {stream}, got {to.session.stream}"
            )
            assert not to.slot_is_free()
        async with to.peer() as peer:
            first = await picture(peer)
            assert first.key_frame
            seen += [stamp_of(first), *await stamps(peer, 5, tag=tag)]
            assert {stamp.stream_tag for stamp in seen} == {tag}
            assert grow(seen)
            # Messages work as on the first connection.
            peer.say({"type": "update", "prompt": "It looks out"})
            assert (await peer.hear())["type"] == "update_acknowledged"
            peer.say({"type": "interactive_stream_end"})
            assert await peer.hear() == {"type": "stream_ended"}
    assert odyssey_mock.streams[stream].ended_at is not None


@manual
@pytest.mark.parametrize("times", [1, 2])
async def test_replies_that_were_not_received_are_sent_again(odyssey_mock: MockOdyssey, times: int) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await start(peer)
            silence(peer.connection)  # what the mock sends from now on is lost with this connection
            to.session.break_stream("model_crashed", "The model crashed.")
            await leaves_it_behind(peer.socket, peer)
            await to.reaches("held")
        for _ in range(times - 1):
            async with to.peer() as peer:
                silence(peer.connection)
                await leaves_it_behind(peer.socket, peer)
                await to.reaches("held")
        async with to.peer() as peer:
            error = await peer.hear()
            assert (error["type"], error["reason"]) == ("interactive_stream_error", "model_crashed")
            assert await peer.hear() == {"type": "stream_ended"}
            await start(peer)


@manual
async def test_unacknowledged_reply_shows_congestion_after_a_while(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        assert to.session._connection is not None
        ours = to.session._connection.peer
        silence(peer.connection)
        to.session.break_stream("model_crashed", "The model crashed.")
        monkeypatch.setattr("odyssey_mock.rtc.streamer_peer.CONGESTED", 1000.0)
        assert not ours.is_congested
        monkeypatch.setattr("odyssey_mock.rtc.streamer_peer.CONGESTED", 0.0)
        assert ours.is_congested


@manual
async def test_received_replies_are_not_sent_again(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await start(peer)
            peer.say({"type": "update", "prompt": "It looks out"})
            assert (await peer.hear())["type"] == "update_acknowledged"
            peer.say({"type": "interactive_stream_end"})
            assert await peer.hear() == {"type": "stream_ended"}
            # The mock has the acknowledgments of these messages once it has the next message of the client.
            await start(peer)
            await leaves_it_behind(peer.socket, peer)
            await to.reaches("held")
        async with to.peer() as peer:
            peer.say({"type": "interactive_stream_end"})
            heard = [await peer.hear()]
            while heard[-1]["type"] != "stream_ended":
                heard.append(await peer.hear())
            # The latest reply may be repeated, because its acknowledgment may have been lost.
            assert [each["type"] for each in heard] in (["stream_ended"], ["stream_started", "stream_ended"])


@manual
async def test_client_may_be_lost_repeatedly(odyssey_mock: MockOdyssey) -> None:
    seen = []
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            tag = odyssey_mock.streams[await start(peer)].timeline.tag
            seen += await stamps(peer, 3, tag=tag)
            await to.lose(peer.socket)
        for _ in range(3):
            await odyssey_mock.advance(9.9)
            async with to.peer() as peer:
                await odyssey_mock.advance(9.9)
                assert to.session.state is SessionState.CONNECTED, (
                    f"expected the session to stay connected within the grace period, got {to.session.state}"
                )
                seen += await stamps(peer, 3, tag=tag)
                await to.lose(peer.socket)
    assert grow(seen)
    states = [entry.data["to"] for entry in odyssey_mock.journal.find("state", "session")]
    assert states == [
        "signaling",
        "connecting",
        "connected",
        *["held", "returning", "rejoining", "connected"] * 3,
        "held",
    ]


@manual
async def test_session_without_stream_is_resumed(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await picture(peer)
            await to.lose(peer.socket)
        async with to.peer() as peer:
            tag = odyssey_mock.streams[await start(peer)].timeline.tag
            assert [stamp.frame_index for stamp in await stamps(peer, 3, tag=tag)] == [0, 1, 2]


@manual
async def test_kept_replies_are_sent_in_order_on_return(
    odyssey_mock: MockOdyssey,
) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            tag = odyssey_mock.streams[await start(peer)].timeline.tag
            for prompt in ("First [slow:1000]", "Second [slow:2000]"):
                peer.say({"type": "update", "prompt": prompt})
            while (await stamps(peer, 1, tag=tag))[0].prompt_revision != 2:
                pass
            await to.lose(peer.socket)
        await odyssey_mock.advance(5)
        to.session.break_stream("model_crash", "The model has crashed")
        async with to.peer() as peer:
            heard = [await peer.hear() for _ in range(4)]
            assert [each["type"] for each in heard] == [
                "update_acknowledged",
                "update_acknowledged",
                "interactive_stream_error",
                "stream_ended",
            ]
            assert [each["prompt"].split(" ")[0] for each in heard[:2]] == ["First", "Second"]
            await start(peer)


@manual
async def test_start_during_the_return_is_acknowledged_afterward(
    odyssey_mock: MockOdyssey,
) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await to.lose(peer.socket)
        async with to.socket() as socket:
            await socket.send(json.dumps(START))
            async with RawPeer(socket) as peer:
                assert (await peer.hear())["type"] == "stream_started"


@manual
async def test_session_and_stream_end_after_the_grace(
    odyssey_mock: MockOdyssey,
) -> None:
    async with nothing_left(), visits(odyssey_mock) as to:
        async with to.peer() as peer:
            stream = await start(peer)
            await stamps(peer, 3, tag=odyssey_mock.streams[stream].timeline.tag)
            await to.lose(peer.socket)
        await odyssey_mock.advance(9.9)
        assert not to.slot_is_free()
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()
        record = odyssey_mock.streams[stream]
        assert record.ended_at == odyssey_mock.clock.time()
        assert record.frame_count, "expected a recording with frames, got one without"
        odyssey_mock.expect_in_order(["session grace", ("session", {"event": "grace_over", "to": "closed"})])
        assert not odyssey_mock.clock.pending
        answer = await to.api.http.post("/sessions/token", json={"session_id": to.session.id})
        assert answer.status_code == 404


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, session_grace=0)
async def test_zero_grace_ends_session_at_once(odyssey_mock: MockOdyssey) -> None:
    async with nothing_left(), visits(odyssey_mock) as to, to.peer() as peer:
        stream = await start(peer)
        peer.socket.transport.abort()
        await to.reaches("closed")
        assert to.slot_is_free()
        assert odyssey_mock.streams[stream].ended_at is not None
        assert not odyssey_mock.clock.pending


@manual
@pytest.mark.parametrize("answers", [False, True], ids=["before the answer", "after the answer"])
async def test_client_lost_while_returning_may_retry_within_grace(odyssey_mock: MockOdyssey, answers: bool) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            tag = odyssey_mock.streams[await start(peer)].timeline.tag
            seen = await stamps(peer, 3, tag=tag)
            await to.lose(peer.socket)
        odyssey_mock.faults.add(at="peer.ice", do="never", times=2)
        for _ in range(2):
            since = odyssey_mock.journal.next_index
            await odyssey_mock.advance(4)
            if answers:
                async with to.halfway() as peer:
                    await to.reaches("rejoining", since=since)
                    await to.lose(peer.socket)
            else:
                async with to.socket() as socket:
                    assert (await receive(socket))["type"] == "offer"
                    await to.lose(socket)
        assert to.session.state is SessionState.HELD
        async with to.peer() as peer:
            seen += await stamps(peer, 3, tag=tag)
            assert grow(seen)
            await to.lose(peer.socket)
        await odyssey_mock.advance(9.9)
        assert to.session.state is SessionState.HELD
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()


@manual
@pytest.mark.parametrize("answers", [False, True], ids=["before the answer", "after the answer"])
async def test_client_that_returns_too_slowly_gets_an_error(odyssey_mock: MockOdyssey, answers: bool) -> None:
    odyssey_mock.faults.add(at="peer.ice", do="never", after=1)
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            stream = await start(peer)
            await to.lose(peer.socket)
        if answers:
            async with to.halfway() as peer:
                await to.reaches("rejoining")
                await odyssey_mock.advance(10)
                assert to.slot_is_free()
                assert await receive(peer.socket) == {"type": "error", "reason": "streamer_not_available"}
                assert await close_code(peer.socket) == (1011, "")
        else:
            async with to.socket() as socket:
                assert (await receive(socket))["type"] == "offer"
                await odyssey_mock.advance(10)
                assert to.slot_is_free()
                assert await receive(socket) == {"type": "error", "reason": "streamer_not_available"}
                assert await close_code(socket) == (1011, "")
        assert odyssey_mock.streams[stream].ended_at == odyssey_mock.clock.time()


async def goodbye(socket: ClientConnection) -> None:
    await socket.send(json.dumps({"type": "client_disconnecting"}))


async def clean_close(socket: ClientConnection) -> None:
    await socket.close(1000)


async def page_left(socket: ClientConnection) -> None:
    await socket.close(1001)


@manual
@pytest.mark.parametrize("leave", [goodbye, clean_close, page_left])
@pytest.mark.parametrize("state", ["connected", "connected again", "returning", "rejoining"])
async def test_proper_close_ends_session_without_grace(
    odyssey_mock: MockOdyssey, leave: Callable[[ClientConnection], Awaitable[None]], state: str
) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await start(peer)
            if state == "connected":
                await leave(peer.socket)
            else:
                await to.lose(peer.socket)
        if state == "connected again":
            async with to.peer() as peer:
                await leave(peer.socket)
                await to.reaches("closed")
        elif state == "returning":
            async with to.socket() as socket:
                assert (await receive(socket))["type"] == "offer"
                await leave(socket)
                await to.reaches("closed")
        elif state == "rejoining":
            odyssey_mock.faults.add(at="peer.ice", do="never")
            async with to.halfway() as peer:
                await to.reaches("rejoining")
                await leave(peer.socket)
                await to.reaches("closed")
        await to.reaches("closed")
        assert to.slot_is_free()


@manual
async def test_only_one_of_two_sockets_resumes_session(
    odyssey_mock: MockOdyssey,
) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            tag = odyssey_mock.streams[await start(peer)].timeline.tag
            await to.lose(peer.socket)
        async with to.socket() as one, to.socket() as other:
            heard = [await receive(one), await receive(other)]
            assert sorted(message["type"] for message in heard) == ["error", "offer"]
            refused, taken = (one, other) if heard[0]["type"] == "error" else (other, one)
            assert await close_code(refused) == (1008, "")
            await taken.close(4000)
        async with to.peer() as peer:
            await stamps(peer, 3, tag=tag)


@manual
@pytest.mark.parametrize("state", ["held", "returning", "rejoining", "connected again", "just lost"])
async def test_reset_ends_session_in_every_held_state(odyssey_mock: MockOdyssey, state: str) -> None:
    async with nothing_left():
        async with visits(odyssey_mock) as to:
            async with to.peer() as peer:
                await start(peer)
                await to.lose(peer.socket)
                if state == "just lost":
                    await reset(to)
            match state:
                case "held":
                    await reset(to)
                case "returning":
                    async with to.socket() as socket:
                        assert (await receive(socket))["type"] == "offer"
                        await reset(to)
                        assert await receive(socket) == {"type": "error", "reason": "streamer_disconnected"}
                case "rejoining":
                    odyssey_mock.faults.add(at="peer.ice", do="never")
                    async with to.halfway() as peer:
                        await to.reaches("rejoining")
                        await reset(to)
                        assert await receive(peer.socket) == {"type": "error", "reason": "streamer_disconnected"}
                case "connected again":
                    async with to.peer() as peer:
                        await picture(peer)
                        await reset(to)
                        assert await receive(peer.socket) == {"type": "error", "reason": "streamer_disconnected"}
        assert to.session.state is SessionState.CLOSED


async def reset(to: Visits) -> None:
    async with asyncio.timeout(LIMIT):
        await to.mock.reset()
    assert to.slot_is_free()
    assert not to.session.is_served
    assert not to.mock.clock.pending


async def test_stopping_mock_does_not_wait_for_grace() -> None:
    async with (
        nothing_left(),
        asyncio.timeout(LIMIT),
        MockOdyssey(portrait_size=SMALL, session_grace=3600) as mock,
        visits(mock) as to,
        to.peer() as peer,
    ):
        await start(peer)
        await to.lose(peer.socket)
    assert to.session.state is SessionState.CLOSED


@manual
async def test_broadcast_continues_while_host_is_away(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as host:
            live = await go_live(odyssey_mock, host)
            await to.lose(host.socket)
        async with RawSpectator(live) as spectator:
            tag = odyssey_mock.streams[live.stream_id].timeline.tag
            seen = [await spectator.stamp() for _ in range(5)]
            async with to.peer() as host:
                theirs = await stamps(host, 3, tag=tag)
                seen += [await spectator.stamp() for _ in range(5)]
                assert theirs[0].frame_index > seen[0].frame_index
                await to.lose(host.socket)
            seen += [await spectator.stamp() for _ in range(3)]
            assert {stamp.stream_tag for stamp in seen} == {tag}
            assert grow(seen)
            await odyssey_mock.advance(10)
            assert to.slot_is_free()
            await spectator.closed()
