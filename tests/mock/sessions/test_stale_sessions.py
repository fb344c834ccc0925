"""Tests of stale sessions, which their client left without `client_disconnecting` (setting `stale_session`)."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import ClientConnection

from odyssey_mock import Entry, MockOdyssey
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sessions.client_connection import ClientConnection as MockConnection
from odyssey_mock.sessions.session_machine import SessionEvent, SessionState
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, Message, RawPeer, raw_socket, receive
from tests.support.streams import start
from tests.support.visits import SMALL, Visits, close_code, visits

stale = pytest.mark.odyssey(clock="manual", portrait_size=SMALL, stale_session=40, concurrent_sessions=1)


async def closes_its_socket(socket: ClientConnection, _: RawPeer) -> None:
    await socket.close(1000)


async def goes_away(socket: ClientConnection, _: RawPeer) -> None:
    await socket.close(1001)


async def closes_its_peer(_: ClientConnection, peer: RawPeer) -> None:
    await peer.connection.close()


ANSWER = {"type": "answer", "sdp": "v=0\r\n"}
WAYS = [closes_its_socket, goes_away, closes_its_peer]


async def status_of_request(to: Visits) -> int:
    """Request another session of the same account, and return the status of the response."""
    return (await to.api.http.post("/sessions/request", json={})).status_code


@stale
@pytest.mark.parametrize("leave", WAYS)
async def test_closed_tab_occupies_its_session_for_40_seconds(
    odyssey_mock: MockOdyssey, leave: Callable[[ClientConnection, RawPeer], Awaitable[None]]
) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        stream = await start(peer)
        await leave(peer.socket, peer)
        await to.reaches("stale")
        assert odyssey_mock.streams[stream].ended_at == odyssey_mock.clock.time()
        assert await status_of_request(to) == 429
        await odyssey_mock.advance(39.9)
        assert await status_of_request(to) == 429
        await odyssey_mock.advance(0.1)
        assert not to.session.is_served, "expected advance() to wait until the session is closed, got a running session"
        assert await status_of_request(to) == 200
    assert odyssey_mock.session(to.session.id).states[-2:] == ["stale", "closed"]
    odyssey_mock.expect_in_order(["stale session", ("session", {"event": "stale_over", "to": "closed"})])


@stale
async def test_abandoned_session_is_stale_at_once(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        with pytest.raises(RuntimeError, match="expected an open signaling socket, got none; connect a client first"):
            to.session.abandon()
        async with to.peer() as peer:
            to.session.abandon()
            assert to.session.state is SessionState.STALE
            async with asyncio.timeout(LIMIT):
                await peer.socket.wait_closed()
            assert peer.socket.close_code == 1000
            await odyssey_mock.advance(40)
        assert to.slot_is_free()


async def left(to: Visits, socket: ClientConnection) -> None:
    """Check that the session cannot be abandoned again, and that its socket was closed cleanly."""
    with pytest.raises(RuntimeError, match="expected an open signaling socket, got none"):
        to.session.abandon()
    assert await close_code(socket) == (1000, "")


@stale
async def test_session_abandoned_early_waits_for_another_socket(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        async with to.socket() as socket:
            assert (await receive(socket))["type"] == "offer"
            assert to.session._connection is not None
            for unread in SessionEvent:
                to.session._connection.instruct(unread)
            to.session.abandon()
            assert to.session.state is SessionState.WAITING
            await left(to, socket)
        assert to.session.state is SessionState.WAITING
        async with to.peer():
            await to.reaches("connected")


@stale
@pytest.mark.parametrize("message", [ANSWER, {"type": "interactive_stream_start", "prompt": ""}])
async def test_message_received_before_abandon_is_ignored(odyssey_mock: MockOdyssey, message: Message) -> None:
    async with visits(odyssey_mock) as to:
        async with to.socket() as socket:
            assert (await receive(socket))["type"] == "offer"

            def leave(entry: Entry) -> None:
                if (entry.kind, entry.name) == ("signaling", message["type"]):
                    to.session.abandon()

            odyssey_mock.journal.observe(leave)
            await socket.send(json.dumps(message))
            assert await close_code(socket) == (1000, "")
        assert to.session.state is SessionState.WAITING
        assert to.session.stream is None


@stale
@pytest.mark.parametrize("is_return", [False, True], ids=["connecting", "rejoining"])
async def test_session_abandoned_during_answer_keeps_its_state(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch, is_return: bool
) -> None:
    async with visits(odyssey_mock) as to:
        if is_return:
            async with to.peer() as peer:
                await to.lose(peer.socket)

        async def apply_answer(_: MockConnection) -> None:
            to.session.abandon()
            raise DescriptionError("the answer's SDP cannot be used: it has no a=fingerprint line (RFC 8122)")

        monkeypatch.setattr(MockConnection, "apply_answer", apply_answer)
        async with to.socket() as socket:
            assert (await receive(socket))["type"] == "offer"
            await socket.send(json.dumps(ANSWER))
            assert await close_code(socket) == (1000, "")
        assert to.session.state is (SessionState.STALE if is_return else SessionState.WAITING)


@stale
async def test_session_abandoned_during_late_offer_is_left(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    odyssey_mock.faults.add(at="signaling.offer", do="delay", seconds=3600)
    async with visits(odyssey_mock) as to:
        send_offer = MockConnection.send_offer

        async def abandoned_meanwhile(connection: MockConnection) -> None:
            to.session.abandon()
            await send_offer(connection)

        monkeypatch.setattr(MockConnection, "send_offer", abandoned_meanwhile)
        async with to.socket() as socket:
            assert await close_code(socket) == (1000, "")
        assert to.session.state is SessionState.WAITING


@stale
async def test_goodbye_frees_the_session_at_once(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await peer.say_on_socket({"type": "client_disconnecting"})
        await to.reaches("closed")
        assert await status_of_request(to) == 200
    odyssey_mock.session(to.session.id).not_reached("stale")


@stale
async def test_goodbye_after_closed_peer_frees_the_session(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await peer.connection.close()
        await to.reaches("stale")
        await peer.say_on_socket({"type": "client_disconnecting"})
        await to.reaches("closed")
        async with asyncio.timeout(LIMIT):
            await peer.socket.wait_closed()
        assert peer.socket.close_code == 1000
        assert to.slot_is_free()


@stale
async def test_client_cannot_return_to_a_stale_session(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        token = await to.api.token_for(to.session.id)
        async with raw_socket(to.requested, token) as socket, RawPeer(socket):
            await socket.close(1001)
            await to.reaches("stale")
        answer = await to.api.http.post("/sessions/token", json={"session_id": to.session.id})
        assert answer.status_code == 404
        async with raw_socket(to.requested, token) as socket:
            error = await receive(socket)
            assert error == {"type": "error", "reason": "this session is over; request a new one"}
        assert to.session.state is SessionState.STALE


@stale
async def test_lost_client_is_held_and_never_stale(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await to.lose(peer.socket)
        await odyssey_mock.advance(10)
        assert to.slot_is_free()
    odyssey_mock.session(to.session.id).not_reached("stale")


@stale
async def test_returning_client_that_closes_leaves_a_stale_session(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            stream = await start(peer)
            await to.lose(peer.socket)
        async with to.socket() as socket:
            assert (await receive(socket))["type"] == "offer"
        await to.reaches("stale")
        assert odyssey_mock.streams[stream].ended_at is not None
        await odyssey_mock.advance(40)
        assert to.slot_is_free()


@stale
async def test_limits_do_not_end_a_stale_session_earlier(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        await odyssey_mock.advance(149)
        await peer.socket.close(1001)
        await to.reaches("stale")
        await odyssey_mock.advance(39)
        assert to.session.state is SessionState.STALE
        pending = sorted(deadline.name for deadline in odyssey_mock.clock.pending)
        assert pending == ["session token", "stale session"]


@stale
async def test_reset_frees_stale_sessions(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await peer.socket.close(1001)
        await to.reaches("stale")
        await odyssey_mock.reset()
        assert to.slot_is_free()
        assert not to.session.is_served


async def test_mock_stops_with_a_stale_session() -> None:
    async with nothing_left(), MockOdyssey(portrait_size=SMALL, stale_session=3600) as mock, visits(mock) as to:
        async with to.peer() as peer:
            await peer.connection.close()
            await to.reaches("stale")
        async with visits(mock) as other, other.peer() as peer:
            await peer.socket.close(1001)
            await other.reaches("stale")


@pytest.mark.odyssey(portrait_size=SMALL)
async def test_closed_tab_ends_its_session_by_default(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await peer.socket.close(1001)
        await to.reaches("closed")
    odyssey_mock.session(to.session.id).not_reached("stale")
