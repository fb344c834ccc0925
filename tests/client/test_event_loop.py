"""Tests of calls in another event loop than that of the connection, and in code that does not run on asyncio."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from odyssey_client import InvalidStateError, Odyssey, connect_to_stream
from odyssey_mock.sync import MockOdyssey

CALLS: dict[str, Callable[[Odyssey], Awaitable[object]]] = {
    "start_stream": lambda client: client.start_stream("A cat"),
    "interact": lambda client: client.interact("Pet the cat"),
    "end_stream": lambda client: client.end_stream(),
    "frames": lambda client: anext(client.frames()),
    "events": lambda client: anext(client.events()),
    "disconnect": lambda client: client.disconnect(),
}


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def connected(loop: asyncio.Runner) -> Iterator[Odyssey]:
    """Run a mock, and yield a client that has connected to it in the event loop `loop`."""
    with MockOdyssey() as mock:
        client = Odyssey(mock.api_key, api_url=mock.url)
        loop.run(client.connect())
        yield client
        loop.run(client.disconnect())


@pytest.mark.parametrize("name", CALLS)
def test_call_in_other_loop_is_rejected(connected: Odyssey, name: str) -> None:
    async def call() -> object:
        return await CALLS[name](connected)

    with pytest.raises(InvalidStateError, match=rf"{name}\(\) was called in another event loop.*same loop_scope"):
        asyncio.run(call())


def test_client_connects_again_in_other_loop(loop: asyncio.Runner, connected: Odyssey) -> None:
    async def connect_again() -> bool:
        await connected.connect()
        try:
            return connected.is_connected
        finally:
            await connected.disconnect()

    loop.run(connected.disconnect())

    assert asyncio.run(connect_again())


@pytest.mark.parametrize(
    "call",
    [
        lambda: Odyssey("ody_key").connect(),
        lambda: Odyssey("ody_key").list_simulations(),
        lambda: connect_to_stream("http://127.0.0.1:1/whep", "token"),
    ],
    ids=["connect", "list_simulations", "connect_to_stream"],
)
def test_call_without_asyncio_is_rejected(call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(InvalidStateError, match=r"requires an event loop of asyncio, got none"):
        next(iter(call().__await__()))
