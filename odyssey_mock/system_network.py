"""The real network of a mock: sockets of the operating system and aiortc peers."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from odyssey_mock.core.file_descriptors import ListeningSocket
from odyssey_mock.core.network import ListenError, PrivateAddressError, is_public, share
from odyssey_mock.core.redaction import watch_library_logs
from odyssey_mock.rtc.host_addresses import host_addresses
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import SpectatorPeer, StreamerPeer

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec
    from odyssey_mock.rtc.packet_track import PacketTrack


class SystemNetwork:
    """Implementation of `MockNetwork` with sockets of the operating system and aiortc peers."""

    def listen(self, host: str, port: int) -> socket.socket:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = ListeningSocket(family, kind, protocol)
        except OSError as error:
            raise _listen_error(error, host, port) from error
        try:
            if os.name == "posix":
                # Connections of a stopped server keep its port in TIME_WAIT for a minute; a restart must not wait.
                # On Windows the option would let two servers listen on the same port.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise _listen_error(error, host, port) from error
        return listener

    def reserve(self, closed: socket.socket, address: Any) -> socket.socket:  # Any: depends on the socket family
        reserved = ListeningSocket(closed.family, closed.type, closed.proto)
        try:
            share(reserved, True)
            reserved.bind(address)
            # From now on, do not share the address: most other servers set SO_REUSEADDR and could bind it otherwise.
            share(reserved, False)
            reserved.setblocking(False)
        except OSError:
            reserved.close()
            raise
        return reserved

    async def datagrams[P: asyncio.DatagramProtocol](
        self, factory: Callable[[], P], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, P]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_datagram_endpoint(factory, local_addr=(host, port))
        except OSError as error:
            raise _listen_error(error, host, port) from error

    async def dial(
        self, host: str, port: int, *, tls: bool, public_only: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # In a thread: parsing all certificates of the system takes 20 to 90 ms.
        context = await asyncio.to_thread(ssl.create_default_context) if tls else None
        if not public_only:
            return await asyncio.open_connection(host, port, ssl=context)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(address[0]) for *_, address in found]
        # Check the addresses that are connected to: a name may resolve to another address a moment later. Do so before
        # the first connection: its success or failure would reveal whether a port is open.
        if not all(map(is_public, addresses)):
            raise PrivateAddressError(f"{host} has an address that is not public")
        return await _first_connection(addresses, port, context, host)

    def ice_addresses(self, loopback_only: bool) -> list[str]:
        return host_addresses(loopback_only=loopback_only)

    def streamer_peer(
        self,
        track: PacketTrack,
        *,
        offered: HostCandidates,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> StreamerPeer:
        from odyssey_mock.rtc.streamer_peer import AiortcStreamerPeer  # noqa: PLC0415 - see `odyssey_mock.rtc`

        watch_library_logs()
        return AiortcStreamerPeer(
            track,
            self.ice_addresses(offered.loopback_only),
            offered,
            on_connected=on_connected,
            on_lost=on_lost,
            on_message=on_message,
            on_keyframe_wanted=on_keyframe_wanted,
        )

    def spectator_peer(
        self,
        track: PacketTrack,
        codecs: Sequence[Codec],
        *,
        offered: HostCandidates,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> SpectatorPeer:
        from odyssey_mock.rtc.spectator_peer import AiortcSpectatorPeer  # noqa: PLC0415 - see `odyssey_mock.rtc`

        watch_library_logs()
        return AiortcSpectatorPeer(
            track,
            self.ice_addresses(offered.loopback_only),
            offered,
            codecs,
            on_connected=on_connected,
            on_lost=on_lost,
            on_keyframe_wanted=on_keyframe_wanted,
        )


async def _first_connection(
    addresses: Sequence[str], port: int, tls: ssl.SSLContext | None, name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to the first of `addresses` that accepts one. `name` is the name in its certificate.

    Raises:
        OSError: no address accepts a connection; the error is that of the last address.
    """
    *others, last = addresses
    server_hostname = name if tls else None
    for address in others:
        with suppress(OSError):
            return await asyncio.open_connection(address, port, ssl=tls, server_hostname=server_hostname)
    return await asyncio.open_connection(last, port, ssl=tls, server_hostname=server_hostname)


def _listen_error(error: OSError, host: str, port: int) -> ListenError:
    reason = error.strerror or str(error)
    return ListenError(
        error.errno,
        f"cannot listen on {host} port {port}: {reason}. Choose another port (0 picks a free port) or address",
    )
