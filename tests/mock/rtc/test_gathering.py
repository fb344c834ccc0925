"""Tests of the gathering of host candidates: ports of a range, advertised addresses, and shortages."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from aioice import Candidate, Connection

from odyssey_mock.core.udp_ports import OutOfPortsError, PortRange, UdpPorts
from odyssey_mock.rtc.gathering import RECEIVE_BUFFER, gather
from odyssey_mock.rtc.host_candidates import HostCandidates
from tests.support.leftovers import nothing_left
from tests.support.simulated_net import HERE, Net, play
from tests.support.udp_ranges import free_range

ONE = ["127.0.0.1"]
TWO = ["127.0.0.1", "127.0.0.2"]
"""Addresses that every Linux machine has."""


def in_range(ports: PortRange, *, without: int = 0, advertised: Sequence[str] = ()) -> HostCandidates:
    return HostCandidates(ports=UdpPorts(ports, without=without), advertised=advertised)


async def gathered(addresses: Sequence[str], offered: HostCandidates) -> tuple[Connection, list[Candidate]]:
    connection = Connection(ice_controlling=True)
    return connection, await gather(connection, 1, addresses, offered)


def places(candidates: Sequence[Candidate]) -> list[tuple[str, int]]:
    return [(each.host, each.port) for each in candidates]


async def test_without_a_range_ports_are_free_ones() -> None:
    connection, candidates = await gathered(TWO, HostCandidates())
    assert [each.host for each in candidates] == TWO
    assert all(each.port for each in candidates)
    sockets = [protocol.transport.get_extra_info("socket") for protocol in connection._protocols]
    assert all(each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= RECEIVE_BUFFER for each in sockets)
    await connection.close()


async def test_addresses_of_a_peer_share_a_port() -> None:
    with free_range(3) as ports:
        offered = in_range(ports, without=ports.first)
        first, of_first = await gathered(TWO, offered)
        second, of_second = await gathered(TWO, offered)
        assert places(of_first) == [(address, ports.first + 1) for address in TWO]
        assert places(of_second) == [(address, ports.first + 2) for address in TWO]
        await first.close()
        await second.close()


async def test_port_taken_on_one_address_is_skipped() -> None:
    with free_range(2) as ports, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((TWO[1], ports.first))
        async with nothing_left():
            connection, candidates = await gathered(TWO, in_range(ports))
            assert places(candidates) == [(address, ports.last) for address in TWO]
            await connection.close()


async def test_address_that_cannot_be_used_is_left_out() -> None:
    with free_range(2) as ports:
        connection, candidates = await gathered(["192.0.2.1", *ONE], in_range(ports))
        assert places(candidates) == [(ONE[0], ports.first)]
        await connection.close()


async def test_advertised_addresses_replace_those_of_the_sockets() -> None:
    advertised = ["198.51.100.7", "2001:db8::7"]
    with free_range(2) as ports:
        connection, candidates = await gathered(TWO, in_range(ports, advertised=advertised))
        assert places(candidates) == [(address, ports.first) for address in advertised]
        assert {each.type for each in candidates} == {"host"}
        assert [protocol.local_candidate.host for protocol in connection._protocols] == TWO
        await connection.close()


async def test_advertised_address_has_the_port_of_each_socket() -> None:
    connection, candidates = await gathered(TWO, HostCandidates(advertised=["198.51.100.7"]))
    bound = [protocol.local_candidate.port for protocol in connection._protocols]
    assert places(candidates) == [("198.51.100.7", port) for port in bound]
    await connection.close()


async def test_exhausted_range_names_the_setting(caplog: pytest.LogCaptureFixture) -> None:
    with free_range(2) as ports:
        async with nothing_left():
            offered = in_range(ports)
            open_ones = [(await gathered(TWO, offered))[0] for _ in range(2)]
            with pytest.raises(
                OutOfPortsError, match=rf"range {ports} are in use or reserved: .*set a larger range \(udp_ports"
            ):
                await gathered(TWO, offered)
            assert [record.levelname for record in caplog.records if "set a larger range" in record.message] == [
                "WARNING"
            ]
            await open_ones[0].close()
            again, candidates = await gathered(TWO, offered)
            assert places(candidates) == [(address, ports.first) for address in TWO]
            await again.close()
            await open_ones[1].close()


@pytest.mark.parametrize("has_range", [False, True])
async def test_shortage_of_descriptors_is_raised(has_range: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:  # Any: as in asyncio
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_datagram_endpoint", fail)
    with free_range(2) as ports, pytest.raises(OSError, match="Too many open files"):
        await gathered(TWO, in_range(ports) if has_range else HostCandidates())


def test_range_applies_to_simulated_sockets() -> None:
    async def scenario(net: Net) -> list[tuple[str, int]]:
        address = net.wire.address(HERE)
        offered = in_range(PortRange(50000, 50002), without=50000)
        found = [await net.on(HERE, gathered([address], offered)) for _ in range(2)]
        with pytest.raises(OutOfPortsError, match=r"range 50000-50002 are in use"):
            await net.on(HERE, gathered([address], offered))
        for connection, _ in found:
            await connection.close()
        return [place for _, candidates in found for place in places(candidates)]

    (_, first), (_, second) = play(scenario)
    assert (first, second) == (50001, 50002)
