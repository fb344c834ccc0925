"""How the mock reaches the network: what it listens on, under which addresses its peers are found, whom it calls."""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

import ifaddr

LOOPBACK = "127.0.0.1"


class ListenError(OSError):
    """The address cannot be listened on; the message says which, why, and what to do."""

    def __str__(self) -> str:
        # Without the number that OSError puts first: `errno` has it.
        return str(self.strerror)


class Network(Protocol):
    """What the mock takes from the network."""

    def listen(self, host: str, port: int) -> socket.socket:
        """Bind a TCP socket, not blocking; port 0 takes a free one.

        Raises:
            ListenError: the address is taken, or is none of this machine's.
        """

    async def datagrams[P: asyncio.DatagramProtocol](
        self, factory: Callable[[], P], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, P]:
        """Open a UDP endpoint on `host`; port 0 takes a free one.

        Raises:
            ListenError: the address is taken, or is none of this machine's.
        """

    async def dial(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TCP connection, with TLS on it if `tls`, past the environment's proxies; the caller closes it.

        There is no limit on the time: the caller has it.

        Raises:
            OSError: nothing answers there, or not in TLS with a certificate for `host`.
            UnicodeError: `host` has no form in which it could be looked up.
        """

    def ice_addresses(self, loopback_only: bool) -> list[str]:
        """List the addresses for ICE host candidates: 127.0.0.1, then, unless `loopback_only`, the machine's own."""


class SystemNetwork:
    """The operating system's."""

    def listen(self, host: str, port: int) -> socket.socket:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            raise _listen_error(error, host, port) from error
        try:
            if os.name == "posix":
                # A port stays in TIME_WAIT for a minute after its server has gone; a restart must not wait for it.
                # On Windows the option means that two may listen at once.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise _listen_error(error, host, port) from error
        return listener

    async def datagrams[P: asyncio.DatagramProtocol](
        self, factory: Callable[[], P], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, P]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_datagram_endpoint(factory, local_addr=(host, port))
        except OSError as error:
            raise _listen_error(error, host, port) from error

    async def dial(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if tls else None)

    def ice_addresses(self, loopback_only: bool) -> list[str]:
        if loopback_only:
            return [LOOPBACK]
        found = [
            ip.ip if isinstance(ip.ip, str) else ip.ip[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips
        ]
        return [LOOPBACK, *dict.fromkeys(address for address in found if _is_candidate(address))]


def _is_candidate(address: str) -> bool:
    """Whether others can reach a peer under it: any IPv4 address but loopback and link-local, any global IPv6 one."""
    ip = ipaddress.ip_address(address)
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        return False
    return ip.version == 4 or ip.is_global


def _listen_error(error: OSError, host: str, port: int) -> ListenError:
    reason = error.strerror or str(error)
    return ListenError(
        error.errno,
        f"cannot listen on {host} port {port}: {reason}. Choose another port (0 takes a free one) or address",
    )
