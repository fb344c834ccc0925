"""Tests of `SystemNetwork`, which uses the network of the operating system: listening, dialing and ICE addresses."""

import asyncio
import ipaddress

import pytest

from odyssey_mock.core.network import ListenError
from odyssey_mock.system_network import SystemNetwork

NETWORK = SystemNetwork()


def test_port_zero_picks_a_free_port() -> None:
    with NETWORK.listen("127.0.0.1", 0) as first, NETWORK.listen("127.0.0.1", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
        assert not first.getblocking()


def test_used_port_is_reported_with_advice() -> None:
    with NETWORK.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1 port {port}: .*in use.*Choose another port"):
            NETWORK.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "not an address"])
async def test_address_of_another_machine_is_rejected(host: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {host}"):
        NETWORK.listen(host, 0)
    with pytest.raises(ListenError, match=f"cannot listen on {host}"):
        await NETWORK.datagrams(asyncio.DatagramProtocol, host, 0)


async def test_datagrams_reach_the_protocol() -> None:
    class Echo(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.received: asyncio.Queue[bytes] = asyncio.Queue()

        def datagram_received(self, data: bytes, addr: object) -> None:
            self.received.put_nowait(data)

    listening, echo = await NETWORK.datagrams(Echo, "127.0.0.1", 0)
    sending, _ = await NETWORK.datagrams(Echo, "127.0.0.1", 0)
    sending.sendto(b"hello", listening.get_extra_info("sockname"))
    async with asyncio.timeout(5):
        assert await echo.received.get() == b"hello"
    listening.close()
    sending.close()


def test_ice_addresses_of_this_machine_are_valid() -> None:
    loopback = NETWORK.ice_addresses(loopback_only=True)
    addresses = NETWORK.ice_addresses(loopback_only=False)

    assert all(ipaddress.ip_address(address).is_loopback for address in loopback)
    assert addresses[: len(loopback)] == loopback
    assert all(ipaddress.ip_address(address) for address in addresses)
    assert len(set(addresses)) == len(addresses)


async def test_dial_connects_to_the_listener() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(2))
        writer.close()

    async with await asyncio.start_server(answer, sock=NETWORK.listen("127.0.0.1", 0)) as server:
        reader, writer = await NETWORK.dial("127.0.0.1", server.sockets[0].getsockname()[1], tls=False)
        writer.write(b"hi")
        async with asyncio.timeout(5):
            assert await reader.read() == b"hi"
        writer.close()
        await writer.wait_closed()


async def test_dial_without_a_listener_fails() -> None:
    with NETWORK.listen("127.0.0.1", 0) as reserved:
        port = reserved.getsockname()[1]
    with pytest.raises(OSError, match=str(port)):
        await NETWORK.dial("127.0.0.1", port, tls=False)
