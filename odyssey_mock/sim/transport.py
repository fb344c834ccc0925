"""TCP and UDP between simulated hosts, with the behavior of a real network.

simloop carries the packets. This module adds addresses instead of names, errors with `errno`, free ports, and resets in
reply to data for a connection that no longer exists.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast, override

from simloop import SimLoop
from simloop._net import SimServer, _Connect, _current_host, _Listener, _Packet
from simloop._transports import _Addr, _SimDatagramTransport

from odyssey_mock.sim.sockets import AddressedNetwork, DatagramTransport, Listening, StreamTransport

FREE_PORTS = range(49152, 65536)
"""Ephemeral ports, for sockets that are bound to port 0 (RFC 6335)."""
LONGEST_DATAGRAM = 65_507
"""Maximum bytes of a datagram of UDP over IPv4."""

_FAREWELLS = {"fin", "rst"}


class SimulatedTransport(AddressedNetwork):
    """The hosts of one run, and the packets in flight between them."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(loop)
        self.set_flow_control()
        self._farewells: dict[tuple[int, str, int], str] = {}
        """The sender of each FIN or reset in flight, by the end of the connection that will receive the packet."""

    def end(self) -> None:
        """Close all connections, sockets and listeners at the end of the run, as the end of a process does."""
        for end in self._ends():
            with _on(end.local[0]):
                end.lose(None)
        for transport in list(self._datagrams.values()):
            transport.close()
        for listener in list(self._listeners.values()):
            listener.server.close()

    def _ends(self) -> list[StreamTransport]:
        return [cast("StreamTransport", end) for end in self._streams.values()]  # all are StreamTransports

    def _lose(self, ends: list[StreamTransport]) -> None:
        for end in ends:
            # The protocol must react on its own host, not on the host that caused the loss.
            with _on(end.local[0]):
                end.lose(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    @override
    def _dispatch_stream(self, packet: _Packet) -> None:
        if packet.kind == "rst" and packet.seq < 0:
            self._dispatch_ready(packet)
        elif self._is_stray(packet):
            self._farewells.pop((packet.conn, packet.dst, packet.dst_port), None)
            if packet.kind == "data" or (packet.kind == "fin" and self._is_unaware(packet)):
                self._answer(packet, kind="rst", seq=-1)
        else:
            super()._dispatch_stream(packet)

    def _is_unaware(self, packet: _Packet) -> bool:
        """Return whether the sender of `packet` has not noticed that the other end of its connection was lost.

        If the other end was closed instead, return False.
        """
        sender = self._streams.get((packet.conn, packet.src, packet.src_port))
        return sender is not None and self._is_bereaved(cast("StreamTransport", sender))

    def _is_bereaved(self, end: StreamTransport) -> bool:
        if end.has_heard_end or end.key in self._farewells or end.conn in self._pending:
            return False
        return end.other_key not in self._streams

    def _is_stray(self, packet: _Packet) -> bool:
        """Return whether `packet` belongs to a connection that no longer exists on the receiving host."""
        if packet.kind not in {"data", "fin", "rst"}:
            return False
        return (packet.conn, packet.dst, packet.dst_port) not in self._streams and packet.conn not in self._pending

    @override
    def _transmit(self, packet: _Packet) -> None:
        if packet.kind in _FAREWELLS:
            self._farewells[packet.conn, packet.dst, packet.dst_port] = packet.src
        super()._transmit(packet)

    def _dial_again(self, host: str) -> None:
        """Repeat the pending connection attempts to the crashed `host`, whose SYN packets were lost in the crash.

        The new SYN packets are held until the host is restarted.
        """
        self._held = [packet for packet in self._held if (packet.kind, packet.dst) != ("syn", host)]
        for conn, connect in self._pending.items():
            if connect.remote[0] == host:
                self._inbound.pop((conn, *connect.remote), None)
                (src, src_port), (dst, dst_port) = connect.local, connect.remote
                self._held.append(_Packet("syn", src, dst, src_port, dst_port, conn, 0, b"", self._new_uid()))

    def _answer(self, packet: _Packet, *, kind: str, seq: int) -> None:
        here, there = (packet.dst, packet.dst_port), (packet.src, packet.src_port)
        self.send_packet(kind, here, there, packet.conn, seq)

    @override
    def _dispatch_ready(self, packet: _Packet) -> None:
        if packet.kind in _FAREWELLS:
            self._farewells.pop((packet.conn, packet.dst, packet.dst_port), None)
        connect = self._pending.get(packet.conn)
        if packet.kind == "accept" and connect is not None and not connect.fut.done():
            del self._pending[packet.conn]
            self._begin(packet.conn, connect)
        elif packet.kind == "accept":
            # The dialing task has given up, so its host sends a reset.
            self._answer(packet, kind="rst", seq=-1)
        else:
            super()._dispatch_ready(packet)

    def _begin(self, conn: int, connect: _Connect) -> None:
        client = StreamTransport(self, conn, local=connect.local, remote=connect.remote)
        self._streams[(conn, connect.local[0], connect.local[1])] = client
        protocol = connect.factory()
        client.begin(protocol)
        connect.fut.set_result((client, protocol))

    @override
    def _handle_syn(self, packet: _Packet) -> None:
        listener = self._listeners.get((packet.dst, packet.dst_port))
        if listener is None:
            self._answer(packet, kind="refuse", seq=0)
            return
        here, there = (packet.dst, packet.dst_port), (packet.src, packet.src_port)
        transport = StreamTransport(self, packet.conn, local=here, remote=there)
        self._streams[(packet.conn, packet.dst, packet.dst_port)] = transport
        self._answer(packet, kind="accept", seq=0)
        transport.begin(listener.factory())

    @override
    def _resolve(self, host: Any) -> str:
        """Return the name of a host, given its name or address.

        Raises:
            socket.gaierror: no host has that name.
            OSError: no host has that address.
        """
        if host in self._hosts:
            return str(host)
        try:
            return self._names[self._lookup_address(host)]
        except socket.gaierror:
            if not _is_address(host):
                raise
        raise OSError(errno.ENETUNREACH, f"{os.strerror(errno.ENETUNREACH)}: {host}")

    @override
    def _bind_address(self, host: str | None, port: int) -> tuple[str, int]:
        # A task on any host may bind a numeric address, because tests restart the mock from another host.
        owner = self._names.get(host or "")
        try:
            bind = (owner, port) if owner is not None else super()._bind_address(host, port)
        except OSError as error:
            raise OSError(errno.EADDRNOTAVAIL, f"{os.strerror(errno.EADDRNOTAVAIL)}: {error}") from None
        return bind if port else (bind[0], self._ephemeral())

    @override
    def _ephemeral(self) -> int:
        taken = {port for _, _, port in self._streams} | {port for _, port in [*self._datagrams, *self._listeners]}
        taken |= {connect.local[1] for connect in self._pending.values()}
        for _ in FREE_PORTS:
            port = super()._ephemeral()
            if port == FREE_PORTS[-1]:
                self._next_port = FREE_PORTS[0]
            if port not in taken:
                return port
        raise OSError(errno.EADDRINUSE, "no free port is left; check that connections and sockets are closed")

    @override
    async def _start_server(self, protocol_factory: Any, host: Any, port: Any) -> SimServer:
        bind = self._bind_address(host, port)
        if bind in self._listeners:
            raise _taken(bind)
        server = Listening(self, bind[0], bind[1])
        self._listeners[bind] = _Listener(factory=protocol_factory, server=server)
        return server

    @override
    async def _open_datagram_endpoint(
        self, protocol_factory: Any, local_addr: _Addr | None, remote_addr: _Addr | None
    ) -> tuple[_SimDatagramTransport, Any]:
        bind = self._bind_address(*(local_addr or (None, 0)))
        if bind in self._datagrams:
            raise _taken(bind)
        remote = None if remote_addr is None else (self._resolve(remote_addr[0]), remote_addr[1])
        transport = DatagramTransport(self, bind, remote)
        self._datagrams[bind] = transport
        protocol = protocol_factory()
        transport.begin(protocol)
        return transport, protocol

    @override
    def find(self, host: str) -> str:
        return self._resolve(host)

    @override
    def send_packet(
        self, kind: str, source: _Addr, target: _Addr, connection: int = -1, number: int = -1, data: bytes = b""
    ) -> None:
        (here, port), (there, other_port) = source, target
        self._transmit(_Packet(kind, here, there, port, other_port, connection, number, data, self._new_uid()))

    @override
    def send_datagram(self, source: _Addr, target: _Addr, data: bytes) -> None:
        if len(data) > LONGEST_DATAGRAM:
            raise OSError(errno.EMSGSIZE, f"{os.strerror(errno.EMSGSIZE)}: {len(data)} bytes in one datagram")
        self.send_packet("dgram", source, target, data=data)


@contextmanager
def _on(host: str) -> Iterator[None]:
    """During the block, make `host` the current host."""
    token = _current_host.set(host)
    try:
        yield
    finally:
        _current_host.reset(token)


def _taken(address: tuple[str, int]) -> OSError:
    return OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {address[0]} port {address[1]}")


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(host.decode("ascii") if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True
