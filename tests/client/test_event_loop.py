"""Tests of calls in another event loop than that of the connection, and in code that does not run on asyncio."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sniffio

from odyssey_client import InvalidStateError, MediaStream, Odyssey, connect_to_stream
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


async def enter() -> None:
    async with Odyssey("ody_key"):
        pass


async def record() -> None:
    async with MediaStream().record("never.mp4"):
        pass


WITHOUT_ASYNCIO: dict[str, Callable[[], Awaitable[object]]] = {
    "async with Odyssey": enter,
    "connect": lambda: Odyssey("ody_key").connect(),
    "disconnect": lambda: Odyssey("ody_key").disconnect(),
    "list_simulations": lambda: Odyssey("ody_key").list_simulations(),
    "events": lambda: anext(Odyssey("ody_key").events()),
    "frames": lambda: anext(MediaStream().frames()),
    "record": record,
    "connect_to_stream": lambda: connect_to_stream("http://127.0.0.1:1/whep", "token"),
}


@pytest.mark.parametrize("name", WITHOUT_ASYNCIO)
def test_call_without_event_loop_is_rejected(name: str) -> None:
    with pytest.raises(InvalidStateError, match=rf"{name}\(\) requires an event loop of asyncio, got none"):
        next(iter(WITHOUT_ASYNCIO[name]().__await__()))


@pytest.mark.parametrize("library", ["trio", "curio"])
@pytest.mark.parametrize("name", WITHOUT_ASYNCIO)
def test_call_in_other_library_is_rejected(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sniffio.thread_local, "name", library)  # as set by the event loop of the library
    with pytest.raises(InvalidStateError, match=rf"{name}\(\) requires an event loop of asyncio, got {library}"):
        next(iter(WITHOUT_ASYNCIO[name]().__await__()))


# Several threads, each with an event loop of its own.

IN_OTHER_THREAD: dict[str, Callable[[Odyssey], Awaitable[object]]] = {
    "list_simulations": lambda client: client.list_simulations(),
    "create_client_credentials": lambda client: client.create_client_credentials(),
    "connect": lambda client: client.connect(),
    "disconnect": lambda client: client.disconnect(),
}


async def listed(client: Odyssey) -> int:
    async with client:
        return (await client.list_simulations()).total


async def of[T](work: Awaitable[T]) -> T:
    return await work


@pytest.mark.parametrize("name", IN_OTHER_THREAD)
def test_call_during_call_of_other_thread_is_rejected(name: str) -> None:
    with MockOdyssey(clock="manual") as mock, ThreadPoolExecutor(1) as thread:
        mock.faults.add(at="rest.simulations.list", do="delay", seconds=1, times=1)
        client = Odyssey(mock.api_key, api_url=mock.url)
        listing = thread.submit(lambda: asyncio.run(listed(client)))
        mock.wait_for("fault", "rest.simulations.list")
        with pytest.raises(InvalidStateError, match=rf"{name}\(\) was called while .* another thread is using"):
            asyncio.run(of(IN_OTHER_THREAD[name](client)))
        mock.advance(1)
        assert listing.result() == 0


@pytest.mark.parametrize("name", ["list_simulations", "create_client_credentials", "connect"])
def test_call_during_connection_of_other_thread_is_rejected(name: str) -> None:
    is_over = threading.Event()

    async def stay(client: Odyssey, is_up: threading.Event) -> None:
        async with client:
            await client.connect()
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    with MockOdyssey() as mock, ThreadPoolExecutor(1) as thread:
        client, is_up = Odyssey(mock.api_key, api_url=mock.url), threading.Event()
        staying = thread.submit(lambda: asyncio.run(stay(client, is_up)))
        try:
            assert is_up.wait(20)
            with pytest.raises(InvalidStateError, match=rf"{name}\(\) was called while .* another thread is using"):
                asyncio.run(of(IN_OTHER_THREAD[name](client)))
        finally:
            is_over.set()
        staying.result()
