"""`Network`, the protocol of the mock's network: listening sockets, outgoing connections and ICE addresses.

`is_public` tells addresses of the public internet from those of this machine and of private networks.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol


class ListenError(OSError):
    """Listening on an address failed. The message states the address, the reason and what to do."""

    def __str__(self) -> str:
        # The text of an OSError begins with the error number; omit it here, because `errno` has it.
        return str(self.strerror)


class PrivateAddressError(Exception):
    """A connection was not opened, because the host has an address that is not public."""


class Network(Protocol):
    """The network operations that the mock uses."""

    def listen(self, host: str, port: int) -> socket.socket:
        """Return a listening, non-blocking TCP socket on the address. Port 0 picks a free port.

        Raises:
            ListenError: the address is in use, or does not belong to this machine.
        """

    def reserve(self, closed: socket.socket, address: Any) -> socket.socket:  # Any: depends on the socket family
        """Return a socket of the same family and type as `closed` that is bound to `address` but does not listen.

        The socket reserves the address, so that the server can listen on it again later.

        Raises:
            OSError: another program uses the address.
        """

    async def datagrams[P: asyncio.DatagramProtocol](
        self, factory: Callable[[], P], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, P]:
        """Open a UDP endpoint on `host`; port 0 picks a free port.

        Raises:
            ListenError: the address is in use, or does not belong to this machine.
        """

    async def dial(
        self, host: str, port: int, *, tls: bool, public_only: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TCP connection, with TLS if `tls` is true; the caller closes it.

        Proxies that environment variables name are not used. There is no timeout; the caller sets one. With
        `public_only`, only public addresses are connected to (`is_public`).

        Raises:
            PrivateAddressError: `public_only` is true, and `host` has an address that is not public.
            OSError: the connection failed, or the TLS handshake or the certificate check for `host` failed.
            UnicodeError: `host` cannot be encoded as a host name.
        """

    def ice_addresses(self, loopback_only: bool) -> list[str]:
        """Return the addresses for ICE host candidates.

        The loopback addresses come first. The machine's other addresses follow, unless `loopback_only` is true.
        """


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The prefix of IPv6 addresses that contain an IPv4 address (RFC 6052)."""


def is_public(text: str) -> bool:
    """Return whether `text` is an address on the public internet: not loopback, link-local, private or multicast.

    An IPv6 address that contains an IPv4 address is public only if the IPv4 address is.
    """
    address = ipaddress.ip_address(text)
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return all(each.is_global and not each.is_multicast for each in inside if each is not None)


def share(bound: socket.socket, is_shared: bool) -> None:
    """Set or clear `SO_REUSEADDR`, except on Windows. It lets a socket use an address with connections in TIME_WAIT."""
    if os.name == "posix":  # on Windows, the option would let two sockets listen on the same port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_shared)
