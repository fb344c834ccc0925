"""Tests that the client's calls return or raise under faults that make other clients of this protocol hang.

A fake service causes each fault over real HTTP, WebSocket and WebRTC. A call that does not end fails its test after
`LIMIT` seconds. Under the same faults, calls of other clients had not ended after 45 s.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from odyssey_client import (
    ConnectionClosedError,
    ConnectTimeoutError,
    Odyssey,
    OdysseyError,
    OdysseyStreamError,
    OperationTimeoutError,
    PeerError,
    SessionLostError,
    SignalingError,
    SystemClock,
)
from tests.client.rest.conftest import Answer
from tests.support.leftovers import nothing_left
from tests.support.scripted_service import (
    GONE,
    TOKEN,
    Told,
    client_of,
    never_offer,
    stay_up,
    stream,
    whole_service,
)
from tests.support.scripted_streamer import Script, Session

LIMIT = 10.0
PEER_TIMEOUT_S = 0.8

type Call = Callable[[Odyssey], Awaitable[object]]

INTERACT: Call = lambda odyssey: odyssey.interact("Night")  # noqa: E731
END: Call = lambda odyssey: odyssey.end_stream()  # noqa: E731
START: Call = lambda odyssey: odyssey.start_stream("A castle")  # noqa: E731


def close_at_once(code: int) -> Script:
    async def close(session: Session) -> None:
        await session.socket.close(code)

    return close


async def offer_nonsense(session: Session) -> None:
    await session.send({"type": "offer", "sdp": "v=0\r\nnonsense"})
    await session.until_closed()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (close_at_once(1011), SignalingError),
        (close_at_once(1000), ConnectionClosedError),
        (never_offer, ConnectTimeoutError),
        (offer_nonsense, PeerError),
    ],
    ids=["1011", "1000", "no offer", "broken offer"],
)
async def test_connect_without_valid_offer_fails_and_client_recovers(script: Script, error: type[OdysseyError]) -> None:
    scripts = [script] * (1 + 2 * (error is SignalingError)) + [stay_up]
    async with (
        nothing_left(),
        asyncio.timeout(LIMIT),
        whole_service(*scripts) as service,
        client_of(service, connect_timeout_s=1.5, max_retries=2) as odyssey,
    ):
        with pytest.raises(error):
            await odyssey.connect()
        assert odyssey.current_status in {"failed", "disconnected"}
        await odyssey.connect()
        assert odyssey.is_connected


async def test_clean_signaling_close_ends_the_video() -> None:
    async def close(session: Session) -> None:
        await session.come_up()
        await session.socket.close(1000)

    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(close) as service, client_of(service) as odyssey:
        video = await odyssey.connect(**told.handlers())
        async for _ in video:
            pass
        await told.until("disconnected")
        assert odyssey.current_status == "disconnected"
        assert not told.errors


async def close_peer(session: Session) -> None:
    await session.come_up()
    await session.peer.close()
    await session.until_closed()


async def vanish(session: Session) -> None:
    await session.come_up()
    session.vanish()
    await session.until_closed()


@pytest.mark.parametrize("loss", [close_peer, vanish], ids=["closed", "vanished"])
async def test_lost_peer_is_detected_and_calls_raise(loss: Script) -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(loss, stream) as service,
        client_of(service, peer_timeout_s=PEER_TIMEOUT_S, operation_timeout_s=0.5) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        with pytest.raises(OdysseyError):
            await odyssey.start_stream("A castle")
        await told.until("status_change", "connected", times=2)
        assert told.errors[0] == (PeerError, False)


async def test_frozen_server_is_detected_and_pending_call_settles() -> None:
    async def freeze(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        assert (await session.heard.get())["type"] == "update"
        session.track.is_frozen = True
        await session.until_closed()

    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(freeze, stay_up) as service,
        client_of(service, peer_timeout_s=PEER_TIMEOUT_S, operation_timeout_s=3) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await odyssey.start_stream("A castle")
        with pytest.raises(OperationTimeoutError):
            await odyssey.interact("Night")
        assert told.statuses[-2:] == ["reconnecting", "connected"]
        ((error, fatal),) = told.of("error")
        assert (str(error), fatal) == ("The streamer was lost: no video for 0.8 s.", False)


@pytest.mark.parametrize(
    ("script", "call"),
    [(stay_up, START), (stream, INTERACT), (stream, END)],
    ids=["start", "interact", "end"],
)
async def test_call_without_reply_times_out(script: Script, call: Call) -> None:
    async with (
        asyncio.timeout(LIMIT),
        whole_service(script) as service,
        client_of(service, operation_timeout_s=0.3) as odyssey,
    ):
        await odyssey.connect()
        if call is not START:
            await odyssey.start_stream("A castle")
        with pytest.raises(OperationTimeoutError, match=r"not answered within 0\.3 s"):
            await call(odyssey)
        assert odyssey.is_connected


async def die(session: Session) -> None:
    session.vanish()
    await session.until_closed()


async def break_socket(session: Session) -> None:
    await session.socket.close(1011)


@pytest.mark.parametrize("call", [INTERACT, END], ids=["interact", "end"])
@pytest.mark.parametrize("loss", [die, break_socket], ids=["peer", "1011"])
@pytest.mark.parametrize(("reconnect", "error"), [("off", ConnectionClosedError), ("new_session", SessionLostError)])
async def test_lost_connection_settles_the_pending_call(
    call: Call, loss: Script, reconnect: str, error: type[OdysseyError]
) -> None:
    async def lose(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        await session.heard.get()
        await loss(session)

    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose, stay_up) as service,
        client_of(service, peer_timeout_s=PEER_TIMEOUT_S, reconnect=reconnect) as odyssey,
    ):
        await odyssey.connect()
        await odyssey.start_stream("A castle")
        service.then(TOKEN, GONE)
        with pytest.raises(error, match="before the streamer replied"):
            await call(odyssey)


async def test_stream_error_rejects_the_pending_end() -> None:
    async def fail(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        assert (await session.heard.get())["type"] == "interactive_stream_end"
        session.say({"type": "interactive_stream_error", "reason": "session_timeout", "message": "It is over"})
        await session.until_closed()

    async with asyncio.timeout(LIMIT), whole_service(fail) as service, client_of(service) as odyssey:
        await odyssey.connect()
        await odyssey.start_stream("A castle")
        with pytest.raises(OdysseyStreamError, match="session_timeout: It is over") as raised:
            await odyssey.end_stream()
        assert raised.value.retryable
        assert odyssey.is_connected


@pytest.mark.parametrize(
    ("script", "call"), [(stay_up, START), (stream, INTERACT), (stream, END)], ids=["start", "interact", "end"]
)
async def test_disconnect_settles_the_pending_call(script: Script, call: Call) -> None:
    async with nothing_left(), asyncio.timeout(LIMIT), whole_service(script) as service, client_of(service) as odyssey:
        await odyssey.connect()
        if call is not START:
            await odyssey.start_stream("A castle")
        pending = asyncio.ensure_future(call(odyssey))
        await asyncio.wait({pending}, timeout=0.05)
        await odyssey.disconnect()
        with pytest.raises(ConnectionClosedError, match=r"closed by disconnect\(\)"):
            await pending


async def test_concurrent_interactions_get_their_own_replies() -> None:
    async def acknowledge(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        prompts = [str((await session.heard.get())["prompt"]) for _ in range(2)]
        for prompt in prompts:
            session.say({"type": "update_acknowledged", "prompt": f"{prompt}, applied"})
        await session.until_closed()

    async with asyncio.timeout(LIMIT), whole_service(acknowledge) as service, client_of(service) as odyssey:
        await odyssey.connect()
        await odyssey.start_stream("A castle")
        first, second = await asyncio.gather(odyssey.interact("Night"), odyssey.interact("Snow"))
        assert (first, second) == ("Night, applied", "Snow, applied")


async def test_unresponsive_regions_do_not_delay_connecting() -> None:
    async with asyncio.timeout(LIMIT), whole_service(stay_up) as service:
        service.script["GET /regions"] = Answer(until=asyncio.Event())
        async with client_of(service) as odyssey:
            async with asyncio.timeout(3):
                await odyssey.connect()
            assert odyssey.is_connected


@pytest.mark.parametrize("said", ["null", "[]", "7", '"offer"'])
async def test_json_non_object_is_reported_and_skipped(said: str) -> None:
    async def talk(session: Session) -> None:
        await session.send(said)
        await session.come_up()
        await session.send(said)
        session.say(said)
        await session.start_stream()
        await session.until_closed()

    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(talk) as service, client_of(service) as odyssey:
        await odyssey.connect(**told.handlers())
        assert await odyssey.start_stream("A castle") == "stream-1"
        await told.until("error", times=3)
        assert not [error for error, fatal in told.errors if fatal]


async def test_ended_video_track_is_detected_at_once() -> None:
    async def end(session: Session) -> None:
        await session.come_up()
        for sender in session.peer.getSenders():
            await sender.stop()
        await session.until_closed()

    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(end, stay_up) as service, client_of(service) as odyssey:
        await odyssey.connect(**told.handlers())
        async with asyncio.timeout(3):
            await told.until("error")
        ((error, _),) = told.of("error")
        assert "the video track ended" in str(error)


@pytest.mark.parametrize("end", [1000, 1011, "error", "peer", "disconnect"], ids=str)
async def test_on_disconnected_is_called_once_per_connection(end: int | str) -> None:
    async def end_it(session: Session) -> None:
        await session.come_up()
        if isinstance(end, int):
            await session.socket.close(end)
        elif end == "error":
            await session.send({"type": "error", "reason": "streamer_disconnected"})
        elif end == "peer":
            await session.peer.close()
        await session.until_closed()

    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(end_it) as service,
        client_of(service, max_retries=1) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        if end == "disconnect":
            await odyssey.disconnect()
        await told.until("disconnected")
        await odyssey.disconnect()
    assert [name for name, _ in told.all if name in {"connected", "disconnected"}] == ["connected", "disconnected"]


async def test_disconnect_closes_all_http_connections() -> None:
    async with nothing_left(), asyncio.timeout(LIMIT), whole_service(stay_up) as service:
        odyssey = client_of(service)
        for _ in range(3):
            await odyssey.connect()
            assert service.connections > 0
            await odyssey.disconnect()
            while service.connections:
                await SystemClock().sleep(0.01)
