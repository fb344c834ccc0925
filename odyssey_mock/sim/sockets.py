"""What asyncio's users hold in their hands in a simulated network: listeners, and the ends of connections."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from typing import Any, override

from simloop._net import SimNetwork, SimServer
from simloop._transports import _Addr, _check_bytes, _SimDatagramTransport, _SimStreamTransport

SOCKET_BUFFERS = 256 * 1024
"""Bytes of a connection that both machines keep, sent and not read yet, before whoever writes has to wait."""


class AddressedNetwork(SimNetwork, ABC):
    """What sockets need of the network that carries what they send."""

    @abstractmethod
    def find(self, host: str) -> str:
        """Find the name of a machine by its name or address; raises as `socket.connect` does."""

    @abstractmethod
    def send_datagram(self, source: _Addr, target: _Addr, data: bytes) -> None:
        """Send one datagram.

        Raises:
            OSError: it is too long, or nobody has that address.
        """


class BoundSocket:
    """A TCP address that is taken: what there is of a socket where there are none."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        return self._address

    def setsockopt(self, *_: object) -> None:
        """Take any option, and do nothing: there is none that matters here."""

    def close(self) -> None:
        """Give nothing back: addresses are never short here."""


class Listening(SimServer):
    """A listener that tells its address."""

    @property
    @override
    def sockets(self) -> tuple[BoundSocket, ...]:
        return (BoundSocket((self._net.address(self._host), self._port)),)


class StreamTransport(_SimStreamTransport):
    """One end of a TCP connection, with the manners of asyncio's own."""

    def __init__(self, network: AddressedNetwork, conn: int, local: _Addr, remote: _Addr) -> None:
        super().__init__(network, conn, local, remote)
        self.conn = conn
        self.local = local
        self.remote = remote
        self.key = conn, *local
        self.other_key = conn, *remote

    @property
    def has_heard_end(self) -> bool:
        """Whether the other end has said that nothing more comes."""
        return self._peer_closed

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        """Be connected."""
        self._begin(protocol)

    def lose(self, error: Exception | None) -> None:
        """Be lost, and tell nobody but the protocol."""
        self._finish(error)

    @override
    def write(self, data: Any) -> None:
        # asyncio passes over what is written to a connection that is closed or lost; only after an end it complains.
        payload = _check_bytes(data)
        if not (self._closing or self._closed):
            super().write(payload)

    @override
    def _data_arrived(self, data: bytes) -> None:
        # asyncio reads no more once it closes.
        if self._closing:
            self._consumed(len(data))
        else:
            super()._data_arrived(data)

    @override
    def _eof_arrived(self) -> None:
        if not self._closing:
            super()._eof_arrived()

    @override
    def _finish(self, exc: Exception | None) -> None:
        # Nobody will read it; whoever has written it learns of that when it goes on.
        unread, self._backlog = self._backlog, []
        self._consumed(sum(len(each) for each in unread))
        super()._finish(exc)

    @override
    def _effective_limits(self) -> tuple[int, int]:
        low, high = super()._effective_limits()
        return low + SOCKET_BUFFERS, high + SOCKET_BUFFERS

    @override
    def get_write_buffer_limits(self) -> tuple[int, int]:
        return super()._effective_limits()

    @override
    def get_write_buffer_size(self) -> int:
        return max(0, super().get_write_buffer_size() - SOCKET_BUFFERS)

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name in {"sockname", "peername"}:
            host, port = self._local if name == "sockname" else self._remote
            return self._net.address(host), port
        return super().get_extra_info(name, default)


class DatagramTransport(_SimDatagramTransport):
    """A UDP socket that knows addresses, not names."""

    def __init__(self, network: AddressedNetwork, local: _Addr, remote: _Addr | None) -> None:
        super().__init__(network, local, remote)
        self._network = network

    def begin(self, protocol: asyncio.DatagramProtocol) -> None:
        """Be open."""
        self._begin(protocol)

    @override
    def _datagram_arrived(self, data: bytes, addr: _Addr) -> None:
        if self._closing or (self._remote is not None and addr != self._remote):
            return
        self._protocol.datagram_received(data, (self._net.address(addr[0]), addr[1]))

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:
        payload = _check_bytes(data)
        target = addr if addr is not None else self._remote
        if target is None:
            raise ValueError("no address is set")
        if self._closing:
            # asyncio passes over it.
            return
        try:
            to = self._network.find(target[0]), target[1]
            if self._remote not in {None, to}:
                raise ValueError(f"expected no address, or that of the other end, got {addr!r}")
            self._network.send_datagram(self._local, to, payload)
        except OSError as error:
            self._protocol.error_received(error)

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        where = {"sockname": self._local, "peername": self._remote}.get(name)
        return default if where is None else (self._net.address(where[0]), where[1])
