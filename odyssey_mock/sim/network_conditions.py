"""Faults of the network between simulated hosts.

Links can be cut, held or impaired in one direction, connections can lose one end, and hosts can crash without notice.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, override

from simloop import SimLoop
from simloop._net import DRIVER, _current_host, _Packet, _wire_context

from odyssey_mock.impairment.network_path import NetworkPath
from odyssey_mock.impairment.profile import Impairment, TrafficKind, kind_of
from odyssey_mock.sim.transport import SimulatedTransport

DIALLED = 1000
"""Maximum number of TCP connection attempts whose times are remembered for each host."""

_DTLS_FLIGHT = {20, 22}
"""First byte of a datagram with a DTLS 1.2 handshake flight: change_cipher_spec or handshake (RFC 6347). Alerts and
data have other values, and are never sent again."""
_DTLS_AGAIN = 1.0
"""Seconds after which a lost flight is first sent again. This time doubles with each loss (RFC 6347 4.2.4.1)."""
_DTLS_LONGEST = 60.0


class NetworkConditions(SimulatedTransport):
    """The hosts of one run, and the links between them.

    A link carries packets from one host to another, in one direction. While a link is `cut`, datagrams are lost, and
    TCP data arrives after `mend`. `hold` keeps all packets until `release`. DTLS handshakes are delayed but never lost,
    because OpenSSL would repeat them by the machine's clock instead of virtual time. A flight (group of handshake
    messages) that would have been lost arrives when it would have been sent again.
    """

    def __init__(self, loop: SimLoop, *, keeps_log: bool = True) -> None:
        super().__init__(loop)
        self._keeps_log = keeps_log
        self._broken: set[tuple[str, str]] = set()
        self._on_hold: set[tuple[str, str]] = set()
        self._dialled: dict[str, deque[float]] = {}
        self._impaired: dict[tuple[str, str], tuple[NetworkPath, float]] = {}
        """The impaired links, each with the time at which its impairment began."""

    # Faults.

    def cut(self, source: str, destination: str) -> None:
        """Block all packets from `source` to `destination` until `mend`. The other direction stays open."""
        self._broken.add(self._link(source, destination))

    def mend(self, source: str, destination: str) -> None:
        """End a `cut`. TCP data that was blocked is delivered now."""
        self._broken.discard(self._link(source, destination))
        self._send_held()

    def hold(self, source: str, destination: str) -> None:
        """Keep all packets from `source` to `destination` until `release`."""
        self._on_hold.add(self._link(source, destination))

    def release(self, source: str, destination: str) -> None:
        """End a `hold` and deliver the packets that it kept."""
        self._on_hold.discard(self._link(source, destination))
        self._send_held()

    def impair(self, source: str, destination: str, impairment: Impairment | None) -> None:
        """Impair all packets from `source` to `destination`, in addition to latency and loss; None ends it.

        ::

            network = NETWORK_PRESETS["lossy-wifi"].profile
            world.wire.impair(SERVER, CLIENT, network.to_client)
            world.wire.impair(CLIENT, SERVER, network.from_client)

        Datagrams are lost, delayed and repeated; a silence lasts on the virtual clock. TCP data is delayed: a lost
        packet arrives later, and one that is sent during a silence arrives after its end.
        """
        link = self._link(source, destination)
        if impairment is None:
            self._impaired.pop(link, None)
        else:
            seed = f"{self._loop._seed}/{source}/{destination}"  # noqa: SLF001 - simloop has no public way to it
            self._impaired[link] = NetworkPath(impairment, seed), self._loop.time()

    def heal(self) -> None:
        """End every `cut`, `hold` and `impair`. Latency and loss stay as set by `set_defaults` and `set_link`."""
        self._broken.clear()
        self._on_hold.clear()
        self._impaired.clear()
        self._send_held()

    def half_open(self, dead: str, alive: str) -> int:
        """Make the host `dead` lose its TCP connections with the host `alive`. Return the number of lost connections.

        `alive` is not notified. It notices the loss when it next sends data and receives a reset, or when one of its
        timeouts expires.
        """
        ends = [end for end in self._ends() if end.local[0] == dead and end.remote[0] == alive]
        self._lose(ends)
        return len(ends)

    def tell_the_bereaved(self) -> None:
        """Reset every half-open TCP connection: one end is lost, and the other end has not noticed the loss."""
        self._lose([end for end in self._ends() if self._is_bereaved(end)])

    def reset(self, one: str, other: str) -> int:
        """Reset all TCP connections between two hosts; both notice it at once. Return the number of connections."""
        ends = [end for end in self._ends() if {end.local[0], end.remote[0]} == {one, other}]
        self._lose(ends)
        return len({end.conn for end in ends})

    def dialled_lately(self) -> Mapping[str, int]:
        """Return, by host, how many TCP connection attempts the host has started in the last second."""
        since = self._loop.time() - 1.0
        return {host: sum(at > since for at in times) for host, times in self._dialled.items()}

    @override
    def crash(self, name: str, *, keeps: Collection[int] = ()) -> None:
        """Crash a host: no traffic passes, its listeners, sockets and connections are lost, and no peer is notified.

        Its tasks keep running without a network. The caller decides what to do with them.

        Args:
            name: the host.
            keeps: UDP ports of services that start with the host. These ports are open again after `revive`.
        """
        self._require_host(name)
        self._alive[name] = False
        for key in [key for key in self._listeners if key[0] == name]:
            self._listeners[key].server.close()
        sockets = {port: each for (host, port), each in self._datagrams.items() if host == name}
        for port, each in sockets.items():
            if port not in keeps:
                each.close()
        self._lose([end for end in self._ends() if end.local[0] == name])
        self._farewells = {end: source for end, source in self._farewells.items() if source != name}
        for connect in self._pending.values():
            if connect.local[0] == name and not connect.fut.done():
                connect.fut.set_exception(OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN)))
        self._held = [packet for packet in self._held if packet.src != name]
        self._dial_again(name)

    def revive(self, name: str) -> None:
        """Restart a crashed host; do nothing if the host is running. The caller must restart the host's listeners.

        TCP data that was sent to the crashed host is sent again and answered with a reset. Pending connection attempts
        to the host are repeated.
        """
        self._require_host(name)
        self._alive[name] = True
        self._send_held()

    @property
    def open_ends(self) -> list[str]:
        """Readable descriptions of open connections, listeners and UDP sockets, by host."""
        return sorted(
            [f"{host}: TCP port {port}" for _, host, port in self._streams]
            + [f"{host}: listens on TCP port {port}" for host, port in self._listeners]
            + [f"{host}: UDP port {port}" for host, port in self._datagrams]
        )

    @property
    def here(self) -> str | None:
        """The host of the current task; None if the current task belongs to no host."""
        host = _current_host.get()
        return None if host == DRIVER else host

    def tasks(self, host: str) -> list[asyncio.Task[Any]]:
        """Return the unfinished tasks of a host, oldest first."""
        return [task for task in self._tasks[self._resolve(host)] if not task.done()]

    def hosts(self) -> list[str]:
        """Return the names of all hosts, oldest first."""
        return [name for name in self._hosts if name != DRIVER]

    def _link(self, source: str, destination: str) -> tuple[str, str]:
        return self._resolve(source), self._resolve(destination)

    @override
    def set_clock(self, name: str, *, offset: float) -> None:
        """Raise `NotImplementedError`: only the wall clocks of hosts differ."""
        raise NotImplementedError(
            f"expected `World.wall_clock({name!r}).offset = {offset:g}`: event loops have no offset"
        )

    @override
    def _trace(self, verb: str, packet: _Packet) -> None:
        if self._keeps_log:
            super()._trace(verb, packet)

    @override
    def _is_cut(self, a: str, b: str) -> bool:
        return (a, b) in self._broken or (a, b) in self._on_hold

    @override
    def _blackhole(self, packet: _Packet) -> None:
        if packet.kind == "dgram" and (packet.src, packet.dst) not in self._on_hold and not _is_handshake(packet):
            self._trace("drop", packet)
        else:
            self._held.append(packet)
            self._trace("hold", packet)

    @override
    def _schedule(self, packet: _Packet, latency: tuple[float, float]) -> None:
        if self._keeps_log:
            super()._schedule(packet, latency)
        else:
            # `_deliver` sets the host. Before it does, only the log has the host that runs the callback.
            self._loop.call_later(self._rng.uniform(*latency), self._deliver, packet)

    @override
    def _deliver(self, packet: _Packet) -> None:
        if packet.kind != "dgram" and self._alive[packet.src] and not self._alive[packet.dst]:
            # TCP sends the packet again until the host is back or the sender gives up.
            self._held.append(packet)
            self._trace("hold", packet)
        else:
            super()._deliver(packet)

    def _send_held(self) -> None:
        held, self._held = self._held, []
        for packet in held:
            if packet.kind != "syn" or packet.conn in self._pending:  # drop the SYN of an attempt that was given up
                self._transmit(packet)

    @override
    def _transmit(self, packet: _Packet) -> None:
        impaired = self._impaired.get((packet.src, packet.dst))
        if impaired is None or self._is_cut(packet.src, packet.dst):
            self._pass_on(packet)
            return
        path, since = impaired
        now = self._loop.time()
        for when in _deliveries(path, packet, now, now - since):
            if when <= now:
                self._pass_on(packet)
            else:
                self._loop.call_later(when - now, self._pass_on, packet, context=_wire_context())

    def _pass_on(self, packet: _Packet) -> None:
        """Transmit a packet that has passed the impairment of its link."""
        if packet.kind == "dgram" and _is_handshake(packet) and not self._is_cut(packet.src, packet.dst):
            (low, high), drop, _ = self._resolved(packet.src, packet.dst)
            late, wait = 0.0, _DTLS_AGAIN
            while wait <= _DTLS_LONGEST and self._rng.random() < drop:
                late, wait = late + wait, wait * 2
            self._schedule(packet, (low + late, high + late))
        else:
            super()._transmit(packet)

    @override
    async def _open_connection(self, protocol_factory: Any, host: Any, port: Any) -> tuple[Any, Any]:
        self._dialled.setdefault(_current_host.get(), deque(maxlen=DIALLED)).append(self._loop.time())
        return await super()._open_connection(protocol_factory, host, port)


def _deliveries(path: NetworkPath, packet: _Packet, now: float, elapsed: float) -> Sequence[float]:
    """Return when the copies of a packet are delivered; none if it is lost.

    TCP packets and DTLS handshakes are delayed but never lost.
    """
    if packet.kind == "dgram" and not _is_handshake(packet):
        return path.datagram(kind_of(packet.payload), len(packet.payload), now, elapsed)
    kind: TrafficKind = "data_channels" if packet.kind == "dgram" else "signaling"
    sent = now + path.impairment.silence_left(elapsed)
    return (path.message(kind, len(packet.payload), sent),)


def _is_handshake(packet: _Packet) -> bool:
    return bool(packet.payload) and packet.payload[0] in _DTLS_FLIGHT
