"""Tests of the limits on stream duration, inactivity and connection duration (`protocol.md` section 7)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from odyssey_mock import AccountSettings, MockOdyssey
from odyssey_mock.sessions.client_connection import ClientConnection
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, RawPeer, receive
from tests.support.streams import start
from tests.support.visits import SMALL, Visits, close_code, visits

manual = pytest.mark.odyssey(clock="manual", portrait_size=SMALL)

END = {"type": "interactive_stream_end"}
UPDATE = {"type": "update", "prompt": "It looks out"}


# The stream: 150 s


@manual
async def test_stream_limit_ends_a_held_session(
    odyssey_mock: MockOdyssey,
) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            stream = await start(peer)
            await odyssey_mock.advance(145)
            await to.lose(peer.socket)
        await odyssey_mock.advance(4.9)
        assert not to.slot_is_free()
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()
        assert odyssey_mock.streams[stream].ended_at == odyssey_mock.clock.time()


# Inactivity: 40 s


@manual
async def test_inactive_connection_is_closed_after_40_seconds(
    odyssey_mock: MockOdyssey,
) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        for _ in range(3):
            await odyssey_mock.advance(13.3)
            await peer.say_on_socket({"type": "keepalive"})
            await odyssey_mock.wait_for("signaling", "keepalive")
        assert not to.slot_is_free()
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()
        assert not to.session.is_served, (
            "expected advance() to wait until the session is closed, got a session with a running connection"
        )
        assert await close_code(peer.socket) == (1000, "")
        odyssey_mock.expect_none("error")
        odyssey_mock.expect_in_order(["inactivity", ("session", {"event": "inactive", "to": "closed"})])


@manual
async def test_rejected_stream_message_restarts_inactivity_timeout(
    odyssey_mock: MockOdyssey,
) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        for _ in range(3):
            await odyssey_mock.advance(39.9)
            peer.say(UPDATE)
            assert (await peer.hear())["reason"] == "no_active_stream"
        await odyssey_mock.advance(39.9)
        assert not to.slot_is_free()
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()


@manual
@pytest.mark.parametrize("ends", ["by the client", "by an error"])
async def test_inactivity_is_counted_from_the_streams_end(odyssey_mock: MockOdyssey, ends: str) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        await odyssey_mock.advance(149)
        if ends == "by the client":
            peer.say(END)
        else:
            to.session.break_stream("model_crash", "The model has crashed")
            assert (await peer.hear())["reason"] == "model_crash"
        assert await peer.hear() == {"type": "stream_ended"}
        await odyssey_mock.advance(39.9)
        assert not to.slot_is_free()
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()


@manual
async def test_returning_client_gets_full_inactivity_timeout(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await odyssey_mock.advance(35)
            await to.lose(peer.socket)
        await odyssey_mock.advance(9)
        async with to.peer() as peer:
            await odyssey_mock.advance(39.9)
            assert not to.slot_is_free()
            await odyssey_mock.advance(0.1)
            assert await close_code(peer.socket) == (1000, "")
            assert to.slot_is_free()


# The connection: 60 min


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, stream_duration=None)
async def test_connection_is_closed_with_error_after_an_hour(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await odyssey_mock.advance(10)
        stream = await start(peer)
        await odyssey_mock.advance(3589.9)
        assert not to.slot_is_free()
        await odyssey_mock.advance(0.1)
        assert to.slot_is_free()
        assert await receive(peer.socket) == {"type": "error", "reason": "duration_limit_reached"}
        assert await close_code(peer.socket) == (1000, "")
        assert odyssey_mock.streams[stream].ended_at == odyssey_mock.clock.time()
        assert not odyssey_mock.clock.pending


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, connection_duration=60)
@pytest.mark.parametrize("state", ["connected", "held", "returning", "rejoining"])
async def test_connection_limit_counts_from_first_connection(odyssey_mock: MockOdyssey, state: str) -> None:
    told = {"type": "error", "reason": "duration_limit_reached"}
    async with visits(odyssey_mock) as to:
        async with to.peer() as peer:
            await start(peer)
            await odyssey_mock.advance(55)
            await to.lose(peer.socket)
        match state:
            case "connected":
                async with to.peer() as peer:
                    await over_in(to, 5)
                    assert await receive(peer.socket) == told
            case "held":
                await over_in(to, 5)
            case "returning":
                async with to.socket() as socket:
                    assert (await receive(socket))["type"] == "offer"
                    await over_in(to, 5)
                    assert await receive(socket) == told
            case _:
                odyssey_mock.faults.add(at="peer.ice", do="never")
                async with to.halfway() as peer:
                    await to.reaches("rejoining")
                    await over_in(to, 5)
                    assert await receive(peer.socket) == told


async def over_in(to: Visits, seconds: float) -> None:
    await to.mock.advance(seconds - 0.1)
    assert not to.slot_is_free()
    await to.mock.advance(0.1)
    assert to.slot_is_free()


# No limit


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, plan="unlimited")
async def test_unlimited_plan_never_ends_connection_or_stream(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await odyssey_mock.advance(100_000)
        await start(peer)
        await odyssey_mock.advance(100_000)
        peer.say(END)
        assert await peer.hear() == {"type": "stream_ended"}
        assert not to.slot_is_free()
        assert not odyssey_mock.clock.pending


@pytest.mark.odyssey(
    clock="manual",
    portrait_size=SMALL,
    inactivity=1,
    keys={"ody_of_its_own": AccountSettings(connection_duration=90, inactivity=60, stream_duration=20)},
)
async def test_account_limits_override_the_settings(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await odyssey_mock.advance(59)
        await start(peer)
        await over_in(to, 20)
    async with visits(odyssey_mock) as to, to.peer():
        await over_in(to, 60)
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await odyssey_mock.advance(59)
        peer.say(UPDATE)
        assert (await peer.hear())["reason"] == "no_active_stream"
        await over_in(to, 31)


# The slot


async def says_goodbye(_: Visits, peer: RawPeer) -> None:
    await peer.say_on_socket({"type": "client_disconnecting"})


async def closes_its_socket(_: Visits, peer: RawPeer) -> None:
    await peer.socket.close()


async def closes_its_peer(_: Visits, peer: RawPeer) -> None:
    await peer.connection.close()


async def is_lost(to: Visits, peer: RawPeer) -> None:
    await to.lose(peer.socket)
    await to.mock.advance(10)


async def streams_too_long(to: Visits, _: RawPeer) -> None:
    await to.mock.advance(150)


async def is_idle_too_long(to: Visits, peer: RawPeer) -> None:
    peer.say(END)
    await to.mock.wait_for("state", "stream", to="idle")
    await to.mock.advance(40)


async def is_ended_by_the_server(to: Visits, _: RawPeer) -> None:
    await to.mock.backend.sessions.close()


ENDS = [
    says_goodbye,
    closes_its_socket,
    closes_its_peer,
    is_lost,
    streams_too_long,
    is_idle_too_long,
    is_ended_by_the_server,
]


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, concurrent_sessions=1)
@pytest.mark.parametrize("end", ENDS)
async def test_slot_is_free_the_moment_session_ends(
    odyssey_mock: MockOdyssey, end: Callable[[Visits, RawPeer], Awaitable[None]]
) -> None:
    async with nothing_left(), visits(odyssey_mock) as to, to.peer() as peer:
        stream = await start(peer)
        assert (await to.api.http.post("/sessions/request", json={})).status_code == 429
        await free_at_the_close(to, end(to, peer))
        assert (await to.api.http.post("/sessions/request", json={})).status_code == 200
        assert odyssey_mock.streams[stream].ended_at is not None
        await odyssey_mock.reset()


async def free_at_the_close(to: Visits, ending: Awaitable[None]) -> None:
    """Await `ending`, which closes the only session.

    Check that its streamer slot is free one loop iteration after the journal has recorded the state `closed`.
    """
    (session,) = to.mock.sessions
    free: list[bool] = []
    record = to.mock.journal.record

    def recorded(*args: Any, **kwargs: Any) -> Any:  # Any: passed through unchanged
        entry = record(*args, **kwargs)
        if args[:2] == ("state", "session") and args[2]["to"] == "closed":
            asyncio.get_running_loop().call_soon(lambda: free.append(session not in to.mock.sessions))
        return entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to.mock.journal, "record", recorded)
        await ending
        await to.reaches("closed")
    async with asyncio.timeout(LIMIT):
        while not free:  # noqa: ASYNC110 - it counts iterations of the loop
            await asyncio.sleep(0)  # noqa: TID251 - one iteration of the loop; no time passes
    assert free == [True]


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, concurrent_sessions=1)
@pytest.mark.off_contract("sends an invalid answer")
@pytest.mark.parametrize("how", ["invalid answer", "dangling", "token expires"])
async def test_slot_is_freed_if_session_never_connected(odyssey_mock: MockOdyssey, how: str) -> None:
    async with nothing_left(), visits(odyssey_mock) as to:
        match how:
            case "invalid answer":
                async with to.socket() as socket:
                    assert (await receive(socket))["type"] == "offer"
                    await free_at_the_close(to, socket.send(json.dumps({"type": "answer", "sdp": "nonsense"})))
            case "dangling":
                async with to.socket() as socket:
                    assert (await receive(socket))["type"] == "offer"
                    await free_at_the_close(to, odyssey_mock.advance(900))
            case _:
                await to.api.token_for(to.session.id)
                await free_at_the_close(to, odyssey_mock.advance(600))
        assert (await to.api.http.post("/sessions/request", json={})).status_code == 200
        await odyssey_mock.reset()


class DefectError(Exception):
    """An unexpected error, which a test raises inside the mock to imitate a bug."""


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL, concurrent_sessions=1)
@pytest.mark.parametrize("when", ["at the offer", "when connected", "on return", "in a frame"])
async def test_slot_is_freed_after_a_bug(odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def fail(*_: object) -> None:
        raise DefectError

    async with nothing_left(), visits(odyssey_mock) as to:
        if when == "at the offer":
            monkeypatch.setattr(ClientConnection, "send_offer", fail)
            async with to.socket() as socket:
                await close_code(socket)
            await to.reaches("closed")
        else:
            async with to.peer() as peer:
                await start(peer)
                if when == "when connected":
                    monkeypatch.setattr(ClientConnection, "receive", fail)
                    peer.say(UPDATE)
                elif when == "in a frame":
                    monkeypatch.setattr("odyssey_mock.media.frame_encoder.draw_stamp", fail)
                else:
                    await to.lose(peer.socket)
            if when == "on return":
                monkeypatch.setattr(ClientConnection, "send_offer", fail)
                async with to.socket() as socket:
                    await close_code(socket)
            await to.reaches("closed")
        assert to.slot_is_free()
        monkeypatch.undo()
        answer = await to.api.http.post("/sessions/request", json={})
        assert answer.status_code == 200
        await odyssey_mock.reset()
