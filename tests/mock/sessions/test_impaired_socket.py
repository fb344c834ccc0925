"""Tests of `ImpairedSocket` between a stand-in for the client's socket and the network of a client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import override

import pytest

from odyssey_mock.core.clock import ManualClock
from odyssey_mock.sessions import impaired_socket
from odyssey_mock.sessions.impaired_socket import ImpairedSocket
from odyssey_mock.sessions.signaling_socket import SignalingSocket
from odyssey_mock.settings import NetworkSetting
from tests.support.impaired_clients import ImpairedClients

LIMIT = 5.0


class Wire(SignalingSocket):
    """A client's socket: the test puts messages into `arriving`, and reads what was sent and closed from `sent`.

    `receive` raises an exception that is put into `arriving`; `send` raises `failure`, if there is one.
    """

    def __init__(self) -> None:
        self.arriving: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.sent: asyncio.Queue[str | int] = asyncio.Queue()
        self.failure: Exception | None = None

    @property
    @override
    def base_url(self) -> str:
        return "http://mock"

    @property
    @override
    def close_code(self) -> int | None:
        return None

    @override
    async def receive(self) -> str | None:
        arrived = await self.arriving.get()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    @override
    async def send(self, data: str | bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.put_nowait(str(data))

    @override
    async def close(self, code: int, reason: str = "", *, why: str = "") -> None:
        self.sent.put_nowait(code)


@dataclass
class Stage:
    wire: Wire
    socket: ImpairedSocket
    clock: ManualClock
    clients: ImpairedClients

    async def waiting(self, count: int = 1) -> None:
        """Wait until `count` messages wait for the end of a silence."""
        async with asyncio.timeout(LIMIT):
            while len(self.clock.pending) < count:  # noqa: ASYNC110 - no event signals it
                await asyncio.sleep(0)  # noqa: TID251 - one iteration of the loop; no time passes

    async def sent(self) -> str | int:
        async with asyncio.timeout(LIMIT):
            return await self.wire.sent.get()

    async def received(self) -> object:
        async with asyncio.timeout(LIMIT):
            return await self.socket.receive()


@asynccontextmanager
async def staged(network: NetworkSetting) -> AsyncIterator[Stage]:
    async with ManualClock() as clock:
        clients = ImpairedClients(clock, network)
        client, wire = clients.join(), Wire()
        stage = Stage(wire, ImpairedSocket(wire, client), clock, clients)
        try:
            yield stage
        finally:
            await stage.socket.end()
            client.leave()


@pytest.mark.parametrize("network", [None, {"delay": 9, "traffic": ["media"]}])
async def test_unimpaired_messages_pass_at_once(network: NetworkSetting) -> None:
    async with staged(network) as stage:
        await stage.socket.send("one")
        assert stage.wire.sent.get_nowait() == "one"
        stage.wire.arriving.put_nowait("two")
        assert await stage.received() == "two"


async def test_messages_are_delayed_together_in_order() -> None:
    """Messages travel at the same time: the delay of several is that of one."""
    loop = asyncio.get_running_loop()
    async with staged({"delay": 0.2, "jitter": 0.1}) as stage:
        for number in range(20):
            stage.wire.arriving.put_nowait(str(number))
            await stage.socket.send(str(number))
        begun = loop.time()
        assert [await stage.sent() for _ in range(20)] == [str(number) for number in range(20)]
        assert [await stage.received() for _ in range(20)] == [str(number) for number in range(20)]
        # 20 delays one after the other would take 4 s.
        assert 0.1 <= loop.time() - begun < 3


async def test_lost_message_arrives_late() -> None:
    loop = asyncio.get_running_loop()
    async with staged({"loss": 0.3}) as stage:
        begun = loop.time()
        for number in range(3):
            await stage.socket.send(str(number))
        assert [await stage.sent() for _ in range(3)] == ["0", "1", "2"]
        assert loop.time() - begun >= 0.2  # with this seed, at least one of the messages is lost once


async def test_messages_of_a_silence_arrive_at_its_end() -> None:
    async with staged({"silence": 20, "silence_after": 10}) as stage:
        await stage.socket.send("before")
        assert await stage.sent() == "before"
        await stage.clock.advance(10)
        await stage.socket.send("during")
        stage.wire.arriving.put_nowait("from client")
        receiving = asyncio.create_task(stage.socket.receive())
        await stage.waiting(2)
        await stage.clock.advance(19)
        await stage.waiting(2)
        assert stage.wire.sent.empty()
        assert not receiving.done()
        await stage.clock.advance(1)
        assert await stage.sent() == "during"
        async with asyncio.timeout(LIMIT):
            assert await receiving == "from client"


async def test_change_of_setting_ends_a_silence() -> None:
    async with staged({"silence": 20}) as stage:
        await stage.socket.send("during")
        await stage.waiting()
        assert stage.wire.sent.empty()
        stage.clients.change(None)
        assert await stage.sent() == "during"
        assert stage.clock.pending == []


async def test_client_that_closes_during_silence_is_noticed() -> None:
    async with staged({"silence": 20}) as stage:
        stage.wire.arriving.put_nowait("lost in the tunnel")
        receiving = asyncio.create_task(stage.socket.receive())
        await stage.waiting()
        stage.wire.arriving.put_nowait(None)
        async with asyncio.timeout(LIMIT):
            assert await receiving is None


async def test_close_waits_for_delayed_messages() -> None:
    async with staged({"delay": 0.1}) as stage:
        await stage.socket.send("last words")
        await stage.socket.close(1000)
        assert [await stage.sent(), await stage.sent()] == ["last words", 1000]


async def test_close_does_not_wait_for_end_of_silence() -> None:
    async with staged({"silence": 20}) as stage:
        await stage.socket.send("lost")
        await stage.socket.close(1000)
        assert await stage.sent() == 1000


async def test_end_of_socket_is_received_after_its_messages() -> None:
    async with staged({"delay": 0.1}) as stage:
        stage.wire.arriving.put_nowait("last")
        stage.wire.arriving.put_nowait(None)
        assert [await stage.received(), await stage.received()] == ["last", None]


async def test_failure_of_receiving_follows_the_messages_before() -> None:
    async with staged({"delay": 0.01}) as stage:
        stage.wire.arriving.put_nowait("last")
        stage.wire.arriving.put_nowait(ArithmeticError("cannot receive"))
        assert await stage.received() == "last"
        with pytest.raises(ArithmeticError, match="cannot receive"):
            await stage.received()


async def test_failure_of_receiving_ends_a_silence() -> None:
    """As the end of the socket does."""
    async with staged({"silence": 20}) as stage:
        stage.wire.arriving.put_nowait("lost in the tunnel")
        receiving = asyncio.create_task(stage.socket.receive())
        await stage.waiting()
        stage.wire.arriving.put_nowait(ArithmeticError("cannot receive"))
        with pytest.raises(ArithmeticError, match="cannot receive"):
            async with asyncio.timeout(LIMIT):
                await receiving


async def test_failure_of_sending_is_raised_by_next_call() -> None:
    async with staged({"silence": 20}) as stage:
        stage.wire.failure = ArithmeticError("cannot send")
        await stage.socket.send("during")
        await stage.waiting()
        await stage.clock.advance(20)
        await stage.socket.close(1000)  # waits for the message
        with pytest.raises(ArithmeticError, match="cannot send"):
            await stage.socket.send("later")
        with pytest.raises(ArithmeticError, match="cannot send"):
            await stage.socket.end()
        stage.socket = ImpairedSocket(stage.wire, stage.clients.join())


async def test_silence_ends_although_times_are_rounded() -> None:
    async with staged({"silence": 0.3}) as stage:
        await stage.socket.send("during")
        await stage.clock.advance(0.3)
        assert await stage.sent() == "during"


async def test_message_above_the_limit_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impaired_socket, "MOST_UNSENT", 2)
    monkeypatch.setattr(impaired_socket, "SEND_LIMIT", 0.01)
    async with staged({"silence": 20}) as stage:
        for message in ("first", "second", "dropped"):
            await stage.socket.send(message)
        await stage.clock.advance(20)
        assert [await stage.sent(), await stage.sent()] == ["first", "second"]
        await stage.socket.send("later")
        assert await stage.sent() == "later"


async def test_message_that_waits_for_room_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impaired_socket, "MOST_UNSENT", 1)
    async with staged({"silence": 20}) as stage:
        sending = [asyncio.create_task(stage.socket.send(str(number))) for number in range(3)]
        await stage.waiting()
        assert [each.done() for each in sending] == [True, False, False]
        stage.clients.change(None)
        await stage.socket.send("3")
        assert [await stage.sent() for _ in range(4)] == ["0", "1", "2", "3"]
        await asyncio.gather(*sending)
