"""Listeners, transports and sockets of a simulated network, with the interfaces that users of asyncio expect."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from typing import Any, override

from simloop._net import SimNetwork, SimServer
from simloop._transports import _Addr, _check_bytes, _SimDatagramTransport, _SimStreamTransport

SOCKET_BUFFERS = 256 * 1024
"""Maximum bytes of a connection that are sent but not yet read; with more, the writer has to wait."""


class AddressedNetwork(SimNetwork, ABC):
    """A simulated network with the additional operations that its sockets call."""

    @abstractmethod
    def find(self, host: str) -> str:
        """Return the name of a host, given its name or address; raise the same errors as `socket.connect`."""

    @abstractmethod
    def send_packet(
        self, kind: str, source: _Addr, target: _Addr, connection: int = -1, number: int = -1, data: bytes = b""
    ) -> None:
        """Send a packet of simloop: a datagram, or a part of a connection with its number in one direction."""

    @abstractmethod
    def send_datagram(self, source: _Addr, target: _Addr, data: bytes) -> None:
        """Send one datagram.

        Raises:
            OSError: the datagram is too long.
        """


class BoundSocket:
    """A bound TCP address, with the methods of `socket.socket` that servers call."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        return self._address

    def setsockopt(self, *_: object) -> None:
        """Do nothing: socket options have no effect in a simulation."""

    def close(self) -> None:
        """Do nothing: a bound address uses no resources."""


class Listening(SimServer):
    """A listener that reports its address."""

    @property
    @override
    def sockets(self) -> tuple[BoundSocket, ...]:
        return (BoundSocket((self._net.address(self._host), self._port)),)


class StreamTransport(_SimStreamTransport):
    """One end of a TCP connection, which behaves like asyncio's own transports."""

    def __init__(self, network: AddressedNetwork, conn: int, local: _Addr, remote: _Addr) -> None:
        super().__init__(network, conn, local, remote)
        self._network = network
        self.conn = conn
        self.local = local
        self.remote = remote
        self.key = conn, *local
        self.other_key = conn, *remote

    @property
    def has_heard_end(self) -> bool:
        """Whether the other end has sent a FIN: it will send no more data."""
        return self._peer_closed

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        """Connect the transport to `protocol`."""
        self._begin(protocol)

    def lose(self, error: Exception | None) -> None:
        """End the connection, and notify the protocol but not the other end."""
        self._finish(error)

    @override
    def write(self, data: Any) -> None:
        # asyncio ignores writes to a closed or lost connection. Only a write after `write_eof` is an error.
        payload = data if type(data) is bytes else _check_bytes(data)
        if not (self._closing or self._closed):
            super().write(payload)

    @override
    def _send(self, kind: str, payload: bytes = b"") -> None:
        number, self._out_seq = self._out_seq, self._out_seq + 1
        self._network.send_packet(kind, self._local, self._remote, self._conn, number, payload)

    @override
    def _data_arrived(self, data: bytes) -> None:
        # asyncio stops reading once the transport is closing.
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
        # Discard the unread data, so that a writer that waits for space continues and notices the loss.
        unread, self._backlog = self._backlog, []
        self._consumed(sum(len(each) for each in unread))
        super()._finish(exc)

    @override
    def _effective_limits(self) -> tuple[int, int]:
        low, high = super()._effective_limits()
        return low + SOCKET_BUFFERS, high + SOCKET_BUFFERS

    @override
    def _maybe_pause_protocol(self) -> None:
        if self._write_buffer > SOCKET_BUFFERS:  # up to this size no limit is exceeded
            super()._maybe_pause_protocol()

    @override
    def _maybe_resume_protocol(self) -> None:
        if self._protocol_paused:
            super()._maybe_resume_protocol()

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
    """A UDP socket that reports addresses instead of host names."""

    def __init__(self, network: AddressedNetwork, local: _Addr, remote: _Addr | None) -> None:
        super().__init__(network, local, remote)
        self._network = network

    def begin(self, protocol: asyncio.DatagramProtocol) -> None:
        """Connect the transport to `protocol`."""
        self._begin(protocol)

    @override
    def _datagram_arrived(self, data: bytes, addr: _Addr) -> None:
        if self._closing or (self._remote is not None and addr != self._remote):
            return
        self._protocol.datagram_received(data, (self._net.address(addr[0]), addr[1]))

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:
        payload = data if type(data) is bytes else _check_bytes(data)
        target = addr if addr is not None else self._remote
        if target is None:
            raise ValueError("expected an address, got None: the socket is not connected")
        if self._closing:
            # asyncio ignores datagrams that are sent on a closed socket.
            return
        try:
            to = self._network.find(target[0]), target[1]
            if self._remote not in {None, to}:
                raise ValueError(f"expected no address, or the address of the other end, got {addr!r}")
            self._network.send_datagram(self._local, to, payload)
        except OSError as error:
            self._protocol.error_received(error)

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        where = {"sockname": self._local, "peername": self._remote}.get(name)
        return default if where is None else (self._net.address(where[0]), where[1])
