"""Tests of the inbox of a connection: the number of a client's messages that wait to be handled is limited."""

import asyncio
from collections.abc import Callable
from typing import Any, override

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.sessions.messages import Answer, KeepAlive, MessageError, Update
from odyssey_mock.sessions.signaling_socket import SignalingSocket
from tests.support.client_connections import connection_to

LIMIT = 10.0
"""Timeout of a wait in seconds, much longer than it takes."""
TURNS = 50
"""Number of turns of the event loop after which a task that does not wait has read all messages."""


class EndlessSocket(SignalingSocket):
    """A socket on which the client sends the same message without end; `received` counts the messages."""

    base_url = "http://localhost"
    close_code = None

    def __init__(self, message: str) -> None:
        self.received = 0
        self._message = message

    @override
    async def receive(self) -> str:
        self.received += 1
        return self._message

    @override
    async def send(self, data: str | bytes) -> None: ...

    @override
    async def close(self, code: int, reason: str = "", *, why: str = "") -> None: ...


class Peers:
    """A factory of peers that keeps the callback for messages of the data channel."""

    on_message: Callable[[str], None]

    def streamer_peer(self, _track: object, *, on_message: Callable[[str], None], **_: object) -> Any:  # Any: a stub
        self.on_message = on_message
        return None


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)  # noqa: TID251 - lets the task run; no time passes


@pytest.mark.parametrize(("limit", "value"), [("INBOX_MESSAGES", 3), ("INBOX_BYTES", 3 * len('{"type":"keepalive"}'))])
async def test_socket_is_not_read_while_messages_wait(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"odyssey_mock.sessions.client_connection.{limit}", value)
    socket = EndlessSocket('{"type":"keepalive"}')
    connection = connection_to(socket, odyssey_mock, Peers())
    reading = asyncio.create_task(connection.read())
    try:
        await turns()
        assert socket.received == 3, f"expected 3 messages to be read within the limit, got {socket.received}"
        for read in (3, 4, 5):
            assert isinstance(await connection.receive(), KeepAlive)
            await turns()
            assert socket.received == read, "expected a message to be read when an earlier one was handled"
    finally:
        reading.cancel()


async def test_channel_messages_above_the_limit_are_refused(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.sessions.client_connection.INBOX_MESSAGES", 3)
    peers = Peers()
    connection = connection_to(EndlessSocket(""), odyssey_mock, peers)
    for number in range(10):
        peers.on_message(f'{{"type":"update","prompt":"{number}"}}')
    assert [await connection.receive() for _ in range(3)] == [
        Update(prompt="0"),
        Update(prompt="1"),
        Update(prompt="2"),
    ]
    refusal = await connection.receive()
    assert isinstance(refusal, MessageError)
    assert str(refusal).startswith("clientToStreamer: expected at most 1000 messages or 64 MiB that wait")
    peers.on_message('{"type":"update","prompt":"later"}')
    assert await connection.receive() == Update(prompt="later"), "expected one refusal for all refused messages"
    for _ in range(10):
        peers.on_message('{"type":"update","prompt":"again"}')
    async with asyncio.timeout(LIMIT):
        received = [type(await connection.receive()) for _ in range(3)]
    assert received == [Update, Update, MessageError], "expected another refusal after a message that had room"


async def test_delayed_messages_wait_until_they_are_handled(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.sessions.client_connection.INBOX_MESSAGES", 3)
    socket, clock = EndlessSocket('{"type":"answer","sdp":"v=0\\n"}'), ManualClock()
    connection = connection_to(socket, odyssey_mock, Peers(), clock=clock, profile="realistic")
    receiving = asyncio.create_task(connection.receive())
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(connection.read()), receiving]  # Any: of any result
    try:
        await turns()
        assert socket.received == 3, f"expected delayed messages to take the room of others, got {socket.received}"
        assert not receiving.done()
        tasks.append(asyncio.create_task(clock.advance(60)))
        async with asyncio.timeout(LIMIT):
            assert await receiving == Answer(sdp="v=0\n")
        tasks.append(asyncio.create_task(connection.receive()))
        await turns()
        assert socket.received == 4, "expected a message to be read when a delayed one was handled"
    finally:
        for task in tasks:
            task.cancel()


async def test_flood_of_messages_lets_other_tasks_run(odyssey_mock: MockOdyssey) -> None:
    peers = Peers()
    connection = connection_to(EndlessSocket(""), odyssey_mock, peers)
    for _ in range(100):
        peers.on_message('{"type":"update","prompt":"x"}')
    handled = 0

    async def handle() -> None:
        nonlocal handled
        while True:
            await connection.receive()
            handled += 1

    handling = asyncio.create_task(handle())
    try:
        await turns()
        assert 0 < handled < 100, f"expected the flood to be handled in turns, got {handled} of 100 messages at once"
    finally:
        handling.cancel()
