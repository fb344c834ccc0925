"""Tests of connections to a misbehaving streamer: no call of the client hangs."""

import asyncio
from http import HTTPStatus
from typing import override

import pytest

from odyssey_client import (
    AdvancedConfig,
    ConnectionClosedError,
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    Disconnected,
    ErrorOccurred,
    Odyssey,
    OdysseyConnectionError,
    OdysseyError,
    OdysseyStreamError,
    OperationTimeoutError,
    PeerError,
    SignalingError,
    StatusChanged,
    StreamerNotAvailableError,
    SystemNetwork,
)
from odyssey_client.platform import ClientPeer, Clock, PeerListener
from tests.support.scripted_service import stay_up, stream
from tests.support.scripted_streamer import Script, Session, scripted

QUICK = AdvancedConfig(
    max_retries=2,
    initial_retry_delay_ms=1,
    max_retry_delay_ms=1,
    connect_timeout_s=5,
    operation_timeout_s=1,
    keepalive_interval_s=0.05,
)
DURATION_LIMIT = {"type": "error", "reason": "duration_limit_reached"}
IMPATIENT = AdvancedConfig(connect_timeout_s=1.5)


def client(advanced: AdvancedConfig = QUICK) -> Odyssey:
    return Odyssey.keyless(advanced=advanced)


async def close_with(session: Session, code: int) -> None:
    await session.socket.close(code)


async def no_spectators(session: Session) -> None:
    await session.come_up()
    await session.start_stream()
    assert (await session.heard.get())["type"] == "update"
    session.say({"type": "broadcast_ready", "webrtc_url": "", "spectator_token": None, "broadcast_url": None})
    session.say({"type": "update_acknowledged", "prompt": "applied"})
    await session.until_closed()


async def never_offer(session: Session) -> None:
    await session.until_closed()


async def offer_nonsense(session: Session) -> None:
    await session.send({"type": "offer", "sdp": "v=0\r\nnonsense"})
    await session.until_closed()


async def offer_nothing(session: Session) -> None:
    await session.send({"type": "offer"})
    await session.until_closed()


async def report_an_error(session: Session) -> None:
    await session.send({"type": "error", "reason": "streamer_not_available"})
    await session.until_closed()


@pytest.mark.parametrize(
    ("script", "advanced", "error", "message"),
    [
        (lambda s: close_with(s, 1011), QUICK, SignalingError, "after 3 attempts: close code 1011"),
        (lambda s: close_with(s, 1000), QUICK, ConnectionClosedError, r"closed the connection \(close code 1000\)"),
        (never_offer, IMPATIENT, ConnectTimeoutError, "waiting for the offer"),
        (offer_nonsense, QUICK, PeerError, "offer cannot be answered"),
        (offer_nothing, QUICK, SignalingError, r"offer\.sdp must be a string, got nothing"),
        (report_an_error, QUICK, StreamerNotAvailableError, "Streamer not available"),
    ],
    ids=["closed", "closed cleanly", "no offer", "broken offer", "empty offer", "error"],
)
async def test_connect_failure_raises_and_client_can_connect_again(
    script: Script, advanced: AdvancedConfig, error: type[OdysseyError], message: str
) -> None:
    async with client(advanced) as odyssey:
        async with scripted(script) as credentials:
            with pytest.raises(error, match=message):
                await odyssey.connect_with_credentials(credentials)
        async with scripted(stay_up) as credentials:
            await odyssey.connect_with_credentials(credentials)
            assert odyssey.is_connected


async def test_unreachable_service_error_names_the_address() -> None:
    async with scripted(stay_up) as credentials:
        pass
    async with client() as odyssey:
        with pytest.raises(SignalingError, match=credentials.signaling_url):
            await odyssey.connect_with_credentials(credentials)


async def test_signaling_lost_while_connecting_is_retried() -> None:
    async with (
        scripted(lambda s: close_with(s, 1011), lambda s: close_with(s, 1012), stay_up) as credentials,
        client() as odyssey,
    ):
        await odyssey.connect_with_credentials(credentials)
        assert odyssey.is_connected


@pytest.mark.parametrize(
    "config",
    [
        (HTTPStatus.NOT_FOUND, "{}"),
        (HTTPStatus.OK, '{"iceServers": []}'),
        (HTTPStatus.OK, "[" * 100_000),
        (HTTPStatus.OK, '{"iceServers": [{"urls": ["stun:host:no-port", "stun:"]}, 7, {}, {"urls": "http://host"}]}'),
    ],
    ids=["none", "empty", "nested too deep", "nonsense"],
)
async def test_connecting_works_without_ice_servers(config: tuple[HTTPStatus, str]) -> None:
    async with scripted(stay_up, config=config) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(credentials)


async def test_trickled_candidates_apply_and_invalid_one_is_reported() -> None:
    async def trickle(session: Session) -> None:
        sdp = await session.offer()
        lines = sdp.splitlines(keepends=True)
        candidates = [line.strip().removeprefix("a=") for line in lines if line.startswith("a=candidate")]
        bare = "".join(line for line in lines if "candidate" not in line)
        await session.send({"type": "offer", "sdp": bare})
        hidden = candidates[0].replace("127.0.0.1", "0000-1111.local")
        for candidate in ("candidate:nonsense", hidden, *candidates, ""):
            await session.send({"type": "ice_candidate", "candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0})
        await session.answered()
        await session.until_closed()

    async with scripted(trickle) as credentials, client() as odyssey:
        errors = odyssey.events()
        await odyssey.connect_with_credentials(credentials)
        await odyssey.disconnect()
        (error,) = [event.error async for event in errors if isinstance(event, ErrorOccurred)]
        assert "candidate" in str(error)


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (lambda s: s.socket.close(1000), "disconnected", None),
        (lambda s: s.socket.close(1001), "disconnected", None),
        (lambda s: s.socket.close(1011), "failed", SignalingError),
        (lambda s: s.peer.close(), "failed", PeerError),
        (
            lambda s: s.send({"type": "error", "reason": "duration_limit_reached"}),
            "failed",
            ConnectionLimitReachedError,
        ),
    ],
    ids=["1000", "1001", "1011", "peer closed", "error"],
)
async def test_end_by_service_settles_all_waiting_calls(
    end: Script, status: str, error: type[OdysseyError] | None
) -> None:
    async def end_it(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        while (await session.heard.get())["type"] != "interactive_stream_end":
            pass
        await end(session)
        await session.until_closed()

    async with scripted(end_it) as credentials, client(AdvancedConfig(reconnect="off")) as odyssey:
        await odyssey.connect_with_credentials(credentials)
        await odyssey.start_stream("A castle")
        events, frames = odyssey.events(), odyssey.frames()
        async with asyncio.timeout(5):
            waiting = await asyncio.gather(odyssey.interact("x"), odyssey.end_stream(), return_exceptions=True)
            assert [type(result) for result in waiting] == [ConnectionClosedError, ConnectionClosedError]
            told = [event async for event in events if not isinstance(event, StatusChanged)]
            with pytest.raises(error or StopAsyncIteration):  # noqa: PT012 - after the frames that are buffered
                while True:
                    await anext(frames)
        assert odyssey.current_status == status
        assert [type(event) for event in told] == ([ErrorOccurred] if error else []) + [Disconnected]
        assert [type(event.error) for event in told if isinstance(event, ErrorOccurred) and event.fatal] == (
            [error] if error else []
        )


JUNK = ["", "no JSON", "[1, 2]", "7", "null", '{"type": 7}', '{"no": "type"}', b"\x00\xff", '{"type": "of the future"}']


async def test_malformed_messages_are_reported_and_skipped() -> None:
    async def talk_nonsense(session: Session) -> None:
        for junk in JUNK:
            await session.send(junk)
        await session.come_up()
        for junk in [*JUNK, '{"type": "stream_started"}', '{"type": "update_acknowledged", "prompt": 7}']:
            session.say(junk)
        await session.start_stream()
        await session.until_closed()

    async with scripted(talk_nonsense) as credentials, client() as odyssey:
        events = odyssey.events()
        await odyssey.connect_with_credentials(credentials)
        assert await odyssey.start_stream("A castle") == "stream-1"
        await odyssey.disconnect()
        errors = [event async for event in events if isinstance(event, ErrorOccurred)]
        assert not any(event.fatal for event in errors)
        assert len(errors) == 2 * (len(JUNK) - 1) + 2


async def test_invalid_offer_while_connected_is_not_fatal() -> None:
    async def offer_again(session: Session) -> None:
        await session.come_up()
        await session.send({"type": "offer"})
        await session.receive("keepalive")
        await session.start_stream()
        await session.until_closed()

    async with scripted(offer_again) as credentials, client() as odyssey:
        events = odyssey.events()
        await odyssey.connect_with_credentials(credentials)
        assert await odyssey.start_stream("A castle") == "stream-1"
        await odyssey.disconnect()
        (error,) = [event async for event in events if isinstance(event, ErrorOccurred)]
        assert not error.fatal
        assert "offer.sdp" in str(error.error)


async def test_repeated_offer_is_answered_only_once() -> None:
    said: list[dict[str, object]] = []

    async def repeat_the_offer(session: Session) -> None:
        sdp = await session.offer()
        await session.send({"type": "offer", "sdp": sdp})
        await session.answered()
        await session.send({"type": "offer", "sdp": sdp})
        said.extend(await session.until_closed())

    async with scripted(repeat_the_offer) as credentials, client() as odyssey, asyncio.timeout(10):
        await odyssey.connect_with_credentials(credentials)
        await odyssey.disconnect()
    assert "client_disconnecting" in [message["type"] for message in said]
    assert "answer" not in [message["type"] for message in said]


async def test_late_acknowledgment_does_not_settle_next_interaction() -> None:
    async def acknowledge_late(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        await session.heard.get()
        await session.heard.get()
        for prompt in ("FIRST", "SECOND"):
            session.say({"type": "update_acknowledged", "prompt": prompt})
        await session.until_closed()

    async with scripted(acknowledge_late) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(credentials)
        await odyssey.start_stream("A castle")
        with pytest.raises(OperationTimeoutError, match=r"interact\(\) was not answered within 1 s"):
            await odyssey.interact("one")
        assert await odyssey.interact("two") == "SECOND"


async def test_stream_error_rejects_waiting_start_and_is_announced() -> None:
    async def refuse(session: Session) -> None:
        await session.come_up()
        for _ in range(2):
            await session.heard.get()
            session.say({"type": "interactive_stream_error", "reason": "quota_exceeded", "message": "no hours left"})
        await session.until_closed()

    told: list[str] = []
    async with scripted(refuse) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(credentials, on_stream_error=told.append)
        for _ in range(2):
            with pytest.raises(OdysseyStreamError, match="quota_exceeded: no hours left"):
                await odyssey.start_stream("A castle")
    assert told == ["quota_exceeded"] * 2


async def test_client_sends_keepalives_and_client_disconnecting() -> None:
    said: asyncio.Future[list[dict[str, object]]] = asyncio.get_running_loop().create_future()
    alive = asyncio.Event()

    async def listen(session: Session) -> None:
        await session.come_up()
        await session.receive("keepalive")
        alive.set()
        said.set_result(await session.until_closed())
        assert session.socket.close_code == 1000

    async with scripted(listen) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(credentials)
        await alive.wait()
        await odyssey.disconnect()
        assert (await said)[-1] == {"type": "client_disconnecting"}


async def test_hanging_handler_does_not_block_calls() -> None:
    async with scripted(stream) as credentials, client() as odyssey:
        cancelled = asyncio.Event()

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        await odyssey.connect_with_credentials(credentials, on_status_change=hang)
        assert await odyssey.start_stream("A castle") == "stream-1"
        await odyssey.disconnect()
        assert cancelled.is_set()


async def test_cancelled_interaction_does_not_affect_the_next() -> None:
    async def acknowledge_all(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        for prompt in ("FIRST", "SECOND"):
            await session.heard.get()
            if prompt == "SECOND":
                session.say({"type": "update_acknowledged", "prompt": "FIRST"})
                session.say({"type": "update_acknowledged", "prompt": "SECOND"})
        await session.until_closed()

    async with scripted(acknowledge_all) as credentials, client() as odyssey:
        await odyssey.connect_with_credentials(credentials)
        await odyssey.start_stream("A castle")
        async with asyncio.TaskGroup() as group:
            first = group.create_task(odyssey.interact("one"))
            await asyncio.wait({first}, timeout=0.01)
            first.cancel()
        assert await odyssey.interact("two") == "SECOND"


async def test_connection_errors_contain_no_session_token() -> None:
    async with scripted(lambda s: close_with(s, 1011)) as credentials, client() as odyssey:
        with pytest.raises(OdysseyConnectionError) as raised:
            await odyssey.connect_with_credentials(credentials)
        assert credentials.session_token not in str(raised.value).replace("session_token", "")


async def test_unusable_broadcast_is_announced_as_stream_error() -> None:
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    ready: list[object] = []
    async with scripted(no_spectators) as credentials, client() as ours, asyncio.timeout(10):
        await ours.connect_with_credentials(
            credentials,
            on_stream_error=lambda reason, message: told.put_nowait((reason, message)),
            on_broadcast_ready=ready.append,
        )
        await ours.start_stream("A cat", broadcast=True)
        assert await ours.interact("It looks out") == "applied"
        reason, message = await told.get()
        assert reason == "broadcast_error"
        assert "broadcast_ready.webrtc_url must be a non-empty string" in message
        assert ready == []


class BreakingPeer(SystemNetwork):
    """A network whose peer connections raise `RuntimeError` once `breaks` is set."""

    def __init__(self) -> None:
        self.breaks = asyncio.Event()

    @override
    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        peer = super().peer(clock, listener)
        pump = peer.pump

        async def pump_until_it_breaks() -> None:
            pumping = asyncio.ensure_future(pump())
            await self.breaks.wait()
            pumping.cancel()
            raise RuntimeError("raised by the test's peer")

        peer.pump = pump_until_it_breaks  # type: ignore[method-assign]
        return peer


async def test_bug_while_connecting_is_raised_by_connect(caplog: pytest.LogCaptureFixture) -> None:
    network = BreakingPeer()
    network.breaks.set()
    async with (
        asyncio.timeout(10),
        scripted(never_offer) as credentials,
        Odyssey.keyless(advanced=QUICK, network=network) as odyssey,
    ):
        with pytest.raises(OdysseyConnectionError, match="raised by the test's peer"):
            await odyssey.connect_with_credentials(credentials)
    assert "a task of the connection failed" in caplog.text


async def test_bug_ends_the_connection_and_its_calls() -> None:
    network = BreakingPeer()

    async def leave_the_stream_unstarted(session: Session) -> None:
        await session.come_up()
        await session.heard.get()
        network.breaks.set()
        await session.until_closed()

    errors: list[tuple[OdysseyError, bool]] = []
    async with (
        asyncio.timeout(10),
        scripted(leave_the_stream_unstarted) as credentials,
        Odyssey.keyless(advanced=QUICK, network=network) as odyssey,
    ):
        await odyssey.connect_with_credentials(credentials, on_error=lambda error, fatal: errors.append((error, fatal)))
        with pytest.raises(ConnectionClosedError, match="raised by the test's peer"):
            await odyssey.start_stream("A cat")
        assert not odyssey.is_connected
    assert [fatal for _, fatal in errors] == [True]
