"""Tests of the end of a `ClientConnection`."""

import asyncio
from typing import Any, override

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.sessions.signaling_socket import SignalingSocket
from tests.support.client_connections import connection_to
from tests.support.raw import LIMIT


class SilentSocket(SignalingSocket):
    """A socket on which the client sends nothing; `reading` is set while it is read."""

    base_url = "http://localhost"
    close_code = None

    def __init__(self) -> None:
        self.reading = asyncio.Event()

    @override
    async def receive(self) -> None:
        self.reading.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.reading.clear()

    @override
    async def send(self, data: str | bytes) -> None: ...

    @override
    async def close(self, code: int, reason: str = "", *, why: str = "") -> None: ...


class HangingPeer:
    """A peer, and the factory that returns it. `close` sets `closing`, and then hangs."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    def streamer_peer(self, *_: object, **__: object) -> Any:  # Any: a stub
        return self

    def impair(self, network: object) -> None: ...

    async def __aenter__(self) -> None: ...

    async def close(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()


@pytest.mark.odyssey(network_profile={"delay": 0.1})
async def test_connection_whose_end_is_cancelled_leaves_its_network(odyssey_mock: MockOdyssey) -> None:
    socket, peer = SilentSocket(), HangingPeer()

    async def serve() -> None:
        async with connection_to(socket, odyssey_mock, peer) as connection:
            await connection.read()

    serving = asyncio.create_task(serve())
    async with asyncio.timeout(LIMIT):
        await socket.reading.wait()
        serving.cancel()
        await peer.closing.wait()
        serving.cancel()
        await asyncio.wait([serving])
    assert not socket.reading.is_set(), "expected the reader of the delayed socket to be ended, but it still reads"
    assert [each.name for each in odyssey_mock.journal.find("note")] == ["network changed", "network losses"]
