"""Tests of addresses, host names, ports and errors of the simulated network, through the API of asyncio."""

import asyncio
import errno
import socket
from contextlib import suppress

import pytest

from odyssey_mock.sim.transport import FREE_PORTS, LONGEST_DATAGRAM
from tests.support.simulated_net import HERE, PORT, THERE, Inbox, Net, play, wait


def test_both_ends_agree_on_numeric_addresses() -> None:
    async def scenario(net: Net) -> None:
        server = await net.listen()
        mine = await net.dial()
        await wait(1)
        theirs = net.accepted[0]
        here, there = net.wire.address(HERE), net.wire.address(THERE)
        assert server.sockets[0].getsockname() == (there, PORT)
        assert mine[1].get_extra_info("peername") == theirs[1].get_extra_info("sockname") == (there, PORT)
        host, port = mine[1].get_extra_info("sockname")
        assert theirs[1].get_extra_info("peername") == (host, port)
        assert host == here
        assert port in FREE_PORTS
        assert mine[1].get_extra_info("socket").getpeername() == (there, PORT)
        assert mine[1].get_extra_info("ssl_object") is None

    play(scenario)


def test_datagram_carries_its_source_address() -> None:
    async def scenario(net: Net) -> None:
        sender, inbox = await net.datagrams()
        sender.sendto(b"x")
        await wait(1)
        assert inbox.sources == [sender.get_extra_info("sockname")]
        assert sender.get_extra_info("sockname")[0] == net.wire.address(HERE)
        assert sender.get_extra_info("peername") == (net.wire.address(THERE), 9)

    play(scenario)


def test_names_are_resolved_like_a_real_resolver() -> None:
    async def scenario(net: Net) -> None:
        async def look_up(name: str) -> str:
            rows = await net.on(HERE, asyncio.get_running_loop().getaddrinfo(name, 80, type=socket.SOCK_STREAM))
            ((family, kind, _, _, address),) = rows
            assert (family, kind, address[1]) == (socket.AF_INET, socket.SOCK_STREAM, 80)
            return str(address[0])

        assert await look_up(THERE) == net.wire.address(THERE)
        assert await look_up(net.wire.address(THERE)) == net.wire.address(THERE)
        assert await look_up("localhost") == net.wire.address(HERE)
        with pytest.raises(socket.gaierror):
            await look_up("nowhere")

    play(scenario)


def test_failed_dial_raises_the_usual_errors() -> None:
    async def scenario(net: Net) -> None:
        with pytest.raises(ConnectionRefusedError):
            await net.dial(port=81)
        with pytest.raises(socket.gaierror):
            await net.dial("nowhere")
        with pytest.raises(OSError, match="unreachable") as caught:
            await net.dial("192.0.2.1")
        assert caught.value.errno == errno.ENETUNREACH

    play(scenario)


def test_host_reaches_itself_by_the_usual_names() -> None:
    async def scenario(net: Net) -> None:
        await net.listen()
        for name in ("127.0.0.1", "localhost", THERE, net.wire.address(THERE)):
            await net.dial(name, host=THERE)
        with pytest.raises(ConnectionRefusedError):
            await net.dial("127.0.0.1", host=HERE)

    play(scenario)


def test_address_can_be_bound_only_once() -> None:
    async def scenario(net: Net) -> None:
        server = await net.listen()
        loop = asyncio.get_running_loop()
        await net.on(THERE, loop.create_datagram_endpoint(Inbox, ("0.0.0.0", 9)))
        with pytest.raises(OSError, match="in use") as caught:
            await net.listen()
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match="in use") as caught:
            await net.on(THERE, loop.create_datagram_endpoint(Inbox, ("0.0.0.0", 9)))
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match="assign") as caught:
            await net.on(HERE, loop.create_datagram_endpoint(Inbox, (THERE, 9)))
        assert caught.value.errno == errno.EADDRNOTAVAIL
        server.close()
        await net.listen()

    play(scenario)


def test_free_ports_are_reused_but_never_shared() -> None:
    async def scenario(net: Net) -> None:
        loop = asyncio.get_running_loop()
        kept, _ = await net.on(HERE, loop.create_datagram_endpoint(Inbox, ("0.0.0.0", 0)))
        ports = set()
        for _ in range(len(FREE_PORTS) + 100):
            port = net.wire._ephemeral()
            assert port in FREE_PORTS
            assert port != kept.get_extra_info("sockname")[1]
            ports.add(port)
        assert len(ports) == len(FREE_PORTS) - 1

    play(scenario)


def test_undeliverable_datagram_is_reported_to_the_protocol() -> None:
    async def scenario(net: Net) -> list[Exception]:
        loop = asyncio.get_running_loop()
        sender, mine = await net.on(HERE, loop.create_datagram_endpoint(Inbox, ("0.0.0.0", 0)))
        sender.sendto(b"x", ("192.0.2.1", 9))
        sender.sendto(bytes(LONGEST_DATAGRAM + 1), (THERE, 9))
        sender.sendto(b"x", (THERE, 10))  # no socket is bound there: the host ignores the datagram
        with pytest.raises(TypeError):
            sender.sendto(5, (THERE, 9))  # type: ignore[arg-type]
        sender.close()
        sender.sendto(b"x", (THERE, 9))
        await wait(1)
        return mine.errors

    errors = play(scenario)
    assert [error.errno for error in errors if isinstance(error, OSError)] == [errno.ENETUNREACH, errno.EMSGSIZE]


def test_connected_udp_socket_sends_only_to_its_peer() -> None:
    async def scenario(net: Net) -> None:
        sender, inbox = await net.datagrams()
        sender.sendto(b"x", (net.wire.address(THERE), 9))
        with pytest.raises(ValueError, match="address of the other end"):
            sender.sendto(b"x", (net.wire.address(THERE), 10))
        await wait(1)
        assert inbox.got == [b"x"]

    play(scenario)


def test_server_handles_connections_on_its_own_host() -> None:
    async def scenario(net: Net) -> list[object]:
        await net.connected()
        return net.hosts

    assert play(scenario) == [THERE]


def test_dialed_connections_are_counted_for_a_second() -> None:
    async def scenario(net: Net) -> None:
        await net.listen()
        for _ in range(3):
            await net.dial()
        with suppress(ConnectionRefusedError):
            await net.dial(port=81)
        assert net.wire.dialled_lately()[HERE] == 4
        await wait(0.9)
        await net.dial()
        assert net.wire.dialled_lately()[HERE] == 5
        await wait(0.2)
        assert net.wire.dialled_lately()[HERE] == 1

    play(scenario)


def test_open_ends_are_listed_by_host() -> None:
    async def scenario(net: Net) -> None:
        mine, theirs = await net.connected()
        port = mine[1].get_extra_info("sockname")[1]
        assert net.wire.open_ends == [
            f"{HERE}: TCP port {port}",
            f"{THERE}: TCP port {PORT}",
            f"{THERE}: listens on TCP port {PORT}",
        ]
        mine[1].close()
        theirs[1].close()
        await wait(1)
        assert net.wire.open_ends == [f"{THERE}: listens on TCP port {PORT}"]

    play(scenario)
