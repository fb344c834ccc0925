"""All that can be wrong with the network between simulated hosts.

Links that are cut in one direction or held up, connections of which only one end is left, and machines that die without
a word.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, override

from simloop import SimLoop
from simloop._net import DRIVER, _current_host, _Packet

from odyssey_mock.sim.transport import SimulatedTransport

DIALLED = 1000
"""Moments of dialling that are remembered of a host."""

_DTLS_FLIGHT = {20, 22}
"""The first byte of a datagram with a flight of a DTLS 1.2 handshake: a change of keys, or a message (RFC 6347). Alerts
and data have others, and are never sent again."""
_DTLS_AGAIN = 1.0
"""Seconds after which a lost flight is sent again at first; then it is twice as long each time (RFC 6347 4.2.4.1)."""
_DTLS_LONGEST = 60.0


class NetworkConditions(SimulatedTransport):
    """The hosts of one run, and the links between them.

    A link is one direction between two hosts. `cut` loses datagrams and holds TCP up, as a real one does until it is
    mended or a time-out comes; `hold` keeps everything until `release`. DTLS handshakes are only ever held up, never
    lost: OpenSSL sends them again by the wall clock, which stands still here. A flight that would have been lost comes
    when it would have been sent again.
    """

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(loop)
        self._broken: set[tuple[str, str]] = set()
        self._on_hold: set[tuple[str, str]] = set()
        self._dialled: dict[str, deque[float]] = {}

    # What can be wrong.

    def cut(self, source: str, destination: str) -> None:
        """Let nothing pass from one host to the other, until `mend`. One direction: cut the other as well for both."""
        self._broken.add(self._link(source, destination))

    def mend(self, source: str, destination: str) -> None:
        """End a `cut`: what TCP had under way arrives now."""
        self._broken.discard(self._link(source, destination))
        self._send_held()

    def hold(self, source: str, destination: str) -> None:
        """Keep everything that is sent from one host to the other, until `release`."""
        self._on_hold.add(self._link(source, destination))

    def release(self, source: str, destination: str) -> None:
        """Deliver what was kept by `hold`."""
        self._on_hold.discard(self._link(source, destination))
        self._send_held()

    def heal(self) -> None:
        """Mend and release every link; what is slow or loses packets stays so (`set_defaults`, `set_link`)."""
        self._broken.clear()
        self._on_hold.clear()
        self._send_held()

    def half_open(self, dead: str, alive: str) -> int:
        """Let one host lose its TCP connections with the other, which is not told. Return how many there were.

        The other learns of it when it next sends something, by a reset, or by its own time-outs.
        """
        ends = [end for end in self._ends() if end.local[0] == dead and end.remote[0] == alive]
        self._lose(ends)
        return len(ends)

    def tell_the_bereaved(self) -> None:
        """Reset every TCP connection of which only one end is left, and does not know it."""
        self._lose([end for end in self._ends() if self._is_bereaved(end)])

    def reset(self, one: str, other: str) -> int:
        """Reset the TCP connections between two hosts; both are told at once. Return how many there were."""
        ends = [end for end in self._ends() if {end.local[0], end.remote[0]} == {one, other}]
        self._lose(ends)
        return len({end.conn for end in ends})

    def dialled_lately(self) -> Mapping[str, int]:
        """How many connections each host has begun to dial in the second that is over now."""
        since = self._loop.time() - 1.0
        return {host: sum(at > since for at in times) for host, times in self._dialled.items()}

    @override
    def crash(self, name: str, *, keeps: Collection[int] = ()) -> None:
        """Let a machine die: nothing goes in or out, its listeners, sockets and connections are gone, nobody is told.

        Its tasks live on, unheard: what they are to do is for whoever wrote them.

        Args:
            name: the machine.
            keeps: UDP ports of what begins with the machine: they are there again when it is revived.
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
        """Start a machine again that has crashed; nothing where it runs. What listens there is for its owner.

        What TCP has sent to it meanwhile is sent again, and answered by a reset; whoever has dialled it dials again.
        """
        self._require_host(name)
        self._alive[name] = True
        self._send_held()

    @property
    def open_ends(self) -> list[str]:
        """What is still open, for people: connections, listeners and UDP sockets, by host."""
        return sorted(
            [f"{host}: TCP port {port}" for _, host, port in self._streams]
            + [f"{host}: listens on TCP port {port}" for host, port in self._listeners]
            + [f"{host}: UDP port {port}" for host, port in self._datagrams]
        )

    @property
    def here(self) -> str | None:
        """The host that the present task belongs to; None outside of all of them."""
        host = _current_host.get()
        return None if host == DRIVER else host

    def tasks(self, host: str) -> list[asyncio.Task[Any]]:
        """The tasks of a host that are not done, oldest first."""
        return [task for task in self._tasks[self._resolve(host)] if not task.done()]

    def hosts(self) -> list[str]:
        """The names of all machines, oldest first."""
        return [name for name in self._hosts if name != DRIVER]

    def _link(self, source: str, destination: str) -> tuple[str, str]:
        return self._resolve(source), self._resolve(destination)

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
    def _deliver(self, packet: _Packet) -> None:
        if packet.kind != "dgram" and self._alive[packet.src] and not self._alive[packet.dst]:
            # TCP sends it again until the machine is there, or the sender gives up.
            self._held.append(packet)
            self._trace("hold", packet)
        else:
            super()._deliver(packet)

    def _send_held(self) -> None:
        held, self._held = self._held, []
        for packet in held:
            if packet.kind != "syn" or packet.conn in self._pending:  # whoever has given up dials no more
                self._transmit(packet)

    @override
    def _transmit(self, packet: _Packet) -> None:
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


def _is_handshake(packet: _Packet) -> bool:
    return bool(packet.payload) and packet.payload[0] in _DTLS_FLIGHT
