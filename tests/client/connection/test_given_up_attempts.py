"""Tests of connections and connection attempts that the client has dropped in order to reconnect.

Their session can be resumed, and the client ignores their later events.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection

from odyssey_client import Odyssey, SignalingError, SystemClock, SystemNetwork
from tests.support.scripted_service import (
    Told,
    client_of,
    lose_peer,
    lose_socket,
    offer_nonsense,
    quick,
    report_unavailable,
    stay_up,
    whole_service,
)
from tests.support.scripted_streamer import Script, Session, scripted

LIMIT = 20.0


async def test_attempt_uses_new_token_after_old_socket_closes() -> None:
    tokens: list[str] = []
    said: list[dict[str, object]] = []
    closed: list[tuple[int | None, str | None]] = []

    async def lose(session: Session) -> None:
        tokens.append(session.token)
        await session.come_up()
        await session.peer.close()
        said.extend(await session.until_closed())
        closed.append((session.socket.close_code, session.socket.close_reason))

    async def come_back(session: Session) -> None:
        assert closed, "expected the client to close the old socket before it opens a new one, but it is still open"
        tokens.append(session.token)
        await stay_up(session)

    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(lose, come_back) as service, client_of(service) as odyssey:
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
    assert tokens == ["session-token-1", "session-token-2"]
    assert closed == [(4000, "reconnecting")]
    assert all(message["type"] != "client_disconnecting" for message in said)


class SlowToClose(SystemNetwork):
    """A network whose WebSockets take 0.3 s to close. `most` is the maximum number of simultaneously open sockets."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0

    @asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[ClientConnection]:
        async with super().websocket(url) as socket:
            self.open += 1
            self.most = max(self.most, self.open)
            try:
                yield socket
            finally:
                await SystemClock().sleep(0.3)
                self.open -= 1


async def test_a_session_never_has_two_sockets() -> None:
    told, network = Told(), SlowToClose()
    async with (
        asyncio.timeout(LIMIT),
        scripted(lose_peer, stay_up) as credentials,
        Odyssey.keyless(advanced=quick(), network=network) as odyssey,
    ):
        await odyssey.connect_with_credentials(credentials, **told.handlers())
        await told.until("status_change", "connected", times=2)
        assert network.most == 1


async def test_messages_of_dropped_connection_are_ignored() -> None:
    told = Told()

    async def linger(session: Session) -> None:
        await session.come_up()
        await session.socket.close(1011)
        await told.until("status_change", "reconnecting")
        session.say({"type": "stream_ended"})
        session.to_client.close()

    async with (
        asyncio.timeout(LIMIT),
        scripted(linger, stay_up) as credentials,
        Odyssey.keyless(advanced=quick(), network=SlowToClose()) as odyssey,
    ):
        await odyssey.connect_with_credentials(credentials, **told.handlers())
        await told.until("status_change", "connected", times=2)
    assert not told.of("stream_ended")
    assert told.statuses.count("reconnecting") == 1


@pytest.mark.parametrize("fail", [report_unavailable, offer_nonsense])
async def test_failed_attempt_with_open_socket_keeps_the_session(fail: Script) -> None:
    codes: list[int | None] = []

    async def failing(session: Session) -> None:
        await fail(session)
        codes.append(session.socket.close_code)

    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, failing, stay_up) as service,
        client_of(service) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
    assert codes == [4000]


class Breaking(SystemNetwork):
    """A network that raises `RuntimeError` when its first WebSocket is closed."""

    has_broken = False

    @asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[ClientConnection]:
        async with super().websocket(url) as socket:
            yield socket
        if not self.has_broken:
            self.has_broken = True
            raise RuntimeError("raised by the test's network")


async def test_bug_in_dropped_attempt_does_not_affect_next(caplog: pytest.LogCaptureFixture) -> None:
    told, network = Told(), Breaking()
    async with (
        asyncio.timeout(LIMIT),
        scripted(lose_socket, stay_up) as credentials,
        Odyssey.keyless(advanced=quick(), network=network) as odyssey,
    ):
        await odyssey.connect_with_credentials(credentials, **told.handlers())
        await told.until("status_change", "connected", times=2)
    assert network.has_broken
    assert told.errors == [(SignalingError, False)]
    assert "a dropped connection attempt raised an unexpected exception" in caplog.text
