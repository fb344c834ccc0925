"""Tests of the signaling socket: its URLs, its messages, and the error after it is closed."""

import asyncio
from typing import cast

import pytest
from websockets.asyncio.client import ClientConnection

from odyssey_client import ClientCredentials, SystemClock, SystemNetwork
from odyssey_client.connection.messages import MAX_INVALID_MESSAGES, Keepalive, MessageError, ServiceError
from odyssey_client.connection.signaling import (
    Signaling,
    SignalingLostError,
    config_url,
    open_signaling,
    signaling_base,
)
from tests.support.scripted_streamer import Session, scripted


def credentials(url: str) -> ClientCredentials:
    return ClientCredentials("session", url, "secret-token", 600)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("ws://host/", "ws://host"),
        ("WSS://host:1/a//", "wss://host:1/a"),
        ("https://host/a?query#part", "wss://host/a"),
        ("http://[::1]:80", "ws://[::1]:80"),
    ],
)
def test_signaling_base_is_websocket_url_without_suffix(url: str, base: str) -> None:
    assert signaling_base(credentials(url)) == base


@pytest.mark.parametrize(
    ("url", "config"), [("wss://host/path/", "https://host/path/config"), ("ws://host:1", "http://host:1/config")]
)
def test_config_url_is_http_url_below_signaling_base(url: str, config: str) -> None:
    assert config_url(credentials(url)) == config


async def report(session: Session) -> None:
    await session.send({"type": "of the future"})
    await session.send({"type": "error", "reason": "streamer_not_available"})
    await session.socket.close(1011, "restarting")


async def test_messages_arrive_in_order_before_the_close() -> None:
    async with scripted(report) as theirs, open_signaling(theirs, SystemNetwork(), SystemClock()) as socket:
        assert await socket.receive() == ServiceError("streamer_not_available")
        for call in (socket.receive, lambda: socket.send(Keepalive())):
            with pytest.raises(SignalingLostError) as lost:
                await call()
            assert (lost.value.close_code, lost.value.close_reason) == (1011, "restarting")
        await socket.keep_alive(0.001)  # returns, because the socket is closed


async def test_open_failure_names_the_address_without_token() -> None:
    async with scripted(report) as gone:
        pass
    with pytest.raises(SignalingLostError, match=gone.signaling_url) as lost:
        async with open_signaling(credentials(gone.signaling_url), SystemNetwork(), SystemClock()):
            raise AssertionError("expected SignalingLostError while the signaling socket opens, but it opened")
    assert lost.value.close_code is None
    assert "secret" not in str(lost.value)


async def break_off(session: Session) -> None:
    session.socket.transport.abort()


async def test_socket_without_close_frame_has_code_1006() -> None:
    async with scripted(break_off) as theirs, open_signaling(theirs, SystemNetwork(), SystemClock()) as socket:
        with pytest.raises(SignalingLostError) as lost:
            await socket.receive()
    assert (lost.value.close_code, lost.value.close_reason) == (1006, "no close frame received")


async def send_invalid_messages(session: Session) -> None:
    for _ in range(MAX_INVALID_MESSAGES + 1):
        await session.send("not JSON")
    await session.until_closed()


async def test_too_many_invalid_messages_count_as_lost_connection() -> None:
    theirs = scripted(send_invalid_messages)
    async with theirs as where, open_signaling(where, SystemNetwork(), SystemClock()) as socket:
        for _ in range(MAX_INVALID_MESSAGES):
            with pytest.raises(MessageError):
                await socket.receive()
        with pytest.raises(SignalingLostError, match="the service sent more than 100 invalid messages") as lost:
            await socket.receive()
    assert lost.value.close_code == 1002


async def test_other_tasks_run_while_messages_are_skipped() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)  # noqa: TID251 - counts the turns of this task
            turns += 1

    class Queued:
        """A socket whose messages have all arrived, so that `recv` never waits."""

        messages = ['{"type": "of the future"}'] * 1000 + ['{"type": "error", "reason": "x"}']

        async def recv(self) -> str:
            return self.messages.pop(0)

    task = asyncio.create_task(take_turns())
    signaling = Signaling(cast("ClientConnection", Queued()), SystemClock())
    assert await signaling.receive() == ServiceError("x")
    task.cancel()
    assert turns >= 10, f"expected other tasks to run while 1000 messages are skipped, got {turns} turns"
