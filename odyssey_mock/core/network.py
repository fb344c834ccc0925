"""How the mock reaches the network: what it listens on, under which addresses its peers are found, whom it calls."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol


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

    def reserve(self, closed: socket.socket, address: Any) -> socket.socket:  # Any: as the family of the socket has it
        """Bind a socket like `closed`, which listened at `address`, without listening: nobody else gets the address.

        It can be listened on later, as one of `listen`'s.

        Raises:
            OSError: somebody else has the address by now.
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


def share(bound: socket.socket, is_shared: bool) -> None:
    """Say whether others may have the address of a socket as well, such as connections that ended a minute ago."""
    if os.name == "posix":  # elsewhere the option means that two may listen at once
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_shared)
