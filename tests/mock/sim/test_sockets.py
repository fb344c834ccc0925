"""Tests that simulated connections behave like the connections of asyncio."""

import asyncio
from collections.abc import Callable
from typing import override

import pytest

from odyssey_mock.sim.sockets import SOCKET_BUFFERS
from tests.support.simulated_net import HERE, PORT, THERE, Net, play, wait


class Records(asyncio.Protocol):
    """A protocol that records its callbacks in order."""

    def __init__(self) -> None:
        self.said: list[object] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self.said.append(data)
        if data == b"stop":
            self.transport.close()

    @override
    def eof_received(self) -> bool:
        self.said.append("end")
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.said.append(None if exc is None else type(exc))


async def recorded(net: Net) -> tuple[asyncio.StreamWriter, Records]:
    """Connect from `HERE` to `THERE`; return the writer of `HERE` and the protocol of `THERE`."""
    protocol = Records()
    await net.on(THERE, asyncio.get_running_loop().create_server(lambda: protocol, "0.0.0.0", PORT))
    _, writer = await net.dial()
    await wait(1)
    return writer, protocol


def test_closing_transport_reads_no_more_data() -> None:
    async def scenario(net: Net) -> list[object]:
        writer, protocol = await recorded(net)
        for word in (b"go", b"stop", b"more", b"and more"):
            writer.write(word)
        writer.write_eof()
        await wait(1)
        return protocol.said

    assert play(scenario) == [b"go", b"stop", None]


def test_half_closed_connection_is_not_reset() -> None:
    async def scenario(net: Net) -> list[object]:
        mine, theirs = await net.connected()
        mine[1].write_eof()
        assert await theirs[0].read() == b""
        theirs[1].write(b"answer")
        theirs[1].close()
        assert await mine[0].read() == b"answer"
        mine[1].close()
        await mine[1].wait_closed()
        writer, protocol = await recorded_end(net)
        writer.close()
        await wait(1)
        protocol.transport.write_eof()
        await wait(1)
        protocol.transport.close()
        await wait(1)
        return protocol.said

    async def recorded_end(net: Net) -> tuple[asyncio.StreamWriter, Records]:
        protocol = Records()
        await net.on(THERE, asyncio.get_running_loop().create_server(lambda: protocol, "0.0.0.0", 81))
        _, writer = await net.dial(port=81)
        return writer, protocol

    assert play(scenario) == ["end", None]


def test_writing_to_a_closed_peer_causes_a_reset() -> None:
    async def scenario(net: Net) -> list[object]:
        writer, protocol = await recorded(net)
        writer.close()
        await wait(1)
        protocol.transport.write(b"still there?")
        await wait(1)
        return protocol.said

    assert play(scenario) == ["end", ConnectionResetError]


def test_writing_after_the_end_behaves_like_asyncio() -> None:
    async def scenario(net: Net) -> None:
        writer, _ = await recorded(net)
        writer.write_eof()
        with pytest.raises(RuntimeError):
            writer.write(b"after the end")
        writer.close()
        writer.write(b"after closing")
        writer.write_eof()
        with pytest.raises(TypeError):
            writer.write("text")  # type: ignore[arg-type]

    play(scenario)


def test_abort_resets_the_peer_after_sent_data() -> None:
    async def scenario(net: Net) -> list[object]:
        net.wire.set_defaults(latency=(0, 1))
        writer, protocol = await recorded(net)
        writer.write(b"one")
        writer.transport.abort()
        await wait(5)
        return protocol.said

    assert play(scenario) == [b"one", ConnectionResetError]


@pytest.mark.parametrize("patience", [0.5, 1.5])
def test_cancelled_dial_leaves_nothing_open(patience: float) -> None:
    async def scenario(net: Net) -> list[str]:
        net.wire.set_defaults(latency=(1, 1))
        server = await net.listen()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(patience):
                await net.dial()
        await wait(10)
        server.close()
        return net.wire.open_ends

    assert play(scenario) == []


async def stalled(net: Net) -> tuple[asyncio.StreamWriter, asyncio.Transport, "asyncio.Task[None]"]:
    """Fill a connection whose other end does not read, so that `drain` of its writer blocks.

    Return the writer, the transport of the other end, and the task that waits in `drain`.
    """
    mine, theirs = await net.connected()
    transport = theirs[1].transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    mine[1].write(bytes(SOCKET_BUFFERS))
    await mine[1].drain()
    assert mine[1].transport.get_write_buffer_size() == 0
    mine[1].write(bytes(100_000))
    waiting = asyncio.ensure_future(mine[1].drain())
    await wait(100)
    assert not waiting.done()
    assert mine[1].transport.get_write_buffer_size() == 100_000
    return mine[1], transport, waiting


def test_writer_waits_for_a_slow_reader() -> None:
    async def scenario(net: Net) -> None:
        _, transport, waiting = await stalled(net)
        transport.resume_reading()
        await waiting

    play(scenario)


@pytest.mark.parametrize("ending", ["close", "abort", "half open", "reset"])
def test_waiting_writer_notices_a_lost_reader(ending: str) -> None:
    async def scenario(net: Net) -> None:
        writer, transport, waiting = await stalled(net)
        endings: dict[str, Callable[[], object]] = {
            "close": transport.close,
            "abort": transport.abort,
            "half open": lambda: net.wire.half_open(THERE, HERE),
            "reset": lambda: net.wire.reset(HERE, THERE),
        }

        async def go_on() -> None:
            async with asyncio.timeout(10):
                await waiting
                writer.write(b"more")
                await wait(1)
                await writer.drain()

        endings[ending]()
        with pytest.raises(ConnectionResetError):
            await go_on()

    play(scenario)


def test_writer_waits_while_the_link_is_cut() -> None:
    async def scenario(net: Net) -> None:
        mine, theirs = await net.connected()
        net.wire.cut(HERE, THERE)
        mine[1].write(bytes(2 * SOCKET_BUFFERS))
        waiting = asyncio.ensure_future(mine[1].drain())
        await wait(100)
        assert not waiting.done()
        net.wire.heal()
        await theirs[0].readexactly(2 * SOCKET_BUFFERS)
        await waiting

    play(scenario)
