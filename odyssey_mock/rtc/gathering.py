"""Gathering of ICE host candidates for one aioice connection, in place of aioice's own.

aioice listens on any free port of each address, and offers this address and port. It has no setting for either.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol

from odyssey_mock.core.file_descriptors import is_shortage
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.udp_ports import OutOfPortsError, UdpPorts
from odyssey_mock.rtc.host_candidates import HostCandidates

logger = get_logger(__name__)

RECEIVE_BUFFER = 256 << 10
"""Size of a socket's receive buffer in bytes, as in aioice: datagrams wait in it while the event loop is busy."""

_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES})
"""Errors of a port that cannot be used: another socket uses it, or the system reserves it."""


async def gather(
    connection: Connection, component: int, addresses: Sequence[str], offered: HostCandidates
) -> list[Candidate]:
    """Open the sockets of `connection` on `addresses`, and return its candidates.

    Addresses that cannot be used are left out.

    Raises:
        OutOfPortsError: all ports of the range are in use or reserved.
        OSError: no socket could be opened, because no file descriptors are left.
    """
    if offered.ports is None:
        protocols = await _open(connection, addresses, 0)
    else:
        protocols = await _open_in_range(connection, addresses, offered.ports)
    for protocol in protocols:
        address, port, *_ = protocol.transport.get_extra_info("sockname")
        protocol.local_candidate = _candidate(component, address, port)
    connection._protocols += protocols  # noqa: SLF001 - aioice has no public way to add sockets
    own = [protocol.local_candidate for protocol in protocols]
    if not offered.advertised:
        return own
    places = dict.fromkeys((address, each.port) for each in own for address in offered.advertised)
    return [_candidate(component, address, port) for address, port in places]


async def _open_in_range(connection: Connection, addresses: Sequence[str], ports: UdpPorts) -> list[StunProtocol]:
    """Open a socket on each address, all on the first port of the range that is free on all of them."""
    for port in ports.in_turn():
        try:
            return await _open(connection, addresses, port)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
    message = (
        f"all UDP ports of the range {ports.range} are in use or reserved: expected a free one for another WebRTC "
        "peer. Close connections, or set a larger range (udp_ports, --udp-ports)"
    )
    logger.warning("a WebRTC peer was refused: %s", message)
    raise OutOfPortsError(errno.EADDRINUSE, message)


async def _open(connection: Connection, addresses: Sequence[str], port: int) -> list[StunProtocol]:
    """Open a socket on each address with this port; port 0 picks a free port for each of them.

    Raises:
        OSError: the port is in use, so that no socket was opened, or no file descriptors are left.
    """
    opened: list[StunProtocol] = []
    for address in addresses:
        try:
            opened.append(await _open_one(connection, address, port))
        except OSError as error:
            if (port and error.errno in _TAKEN) or (not opened and is_shortage(error)):
                for protocol in opened:
                    await protocol.close()
                raise
            logger.info("no candidate on %s: %s", address, error)
    return opened


async def _open_one(connection: Connection, address: str, port: int) -> StunProtocol:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunProtocol(connection), local_addr=(address, port)
    )
    system_socket = transport.get_extra_info("socket")
    if system_socket is not None:
        system_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return protocol


def _candidate(component: int, address: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", address),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=str(ipaddress.ip_address(address)),
        port=port,
        type="host",
    )
