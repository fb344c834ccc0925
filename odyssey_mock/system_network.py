"""The real network of a mock: sockets of the operating system and aiortc peers."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from odyssey_mock.core.network import ListenError, share
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.host_addresses import host_addresses
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.protocols import SpectatorPeer, StreamerPeer
from odyssey_mock.rtc.spectator_peer import AiortcSpectatorPeer
from odyssey_mock.rtc.streamer_peer import AiortcStreamerPeer


class SystemNetwork:
    """Implementation of `MockNetwork` with sockets of the operating system and aiortc peers."""

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
        reserved = socket.socket(closed.family, closed.type, closed.proto)
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

    async def dial(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if tls else None)

    def ice_addresses(self, loopback_only: bool) -> list[str]:
        return host_addresses(loopback_only=loopback_only)

    def streamer_peer(
        self,
        track: PacketTrack,
        *,
        loopback_only: bool,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> StreamerPeer:
        return AiortcStreamerPeer(
            track,
            self.ice_addresses(loopback_only),
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
        loopback_only: bool,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> SpectatorPeer:
        return AiortcSpectatorPeer(
            track,
            self.ice_addresses(loopback_only),
            codecs,
            on_connected=on_connected,
            on_lost=on_lost,
            on_keyframe_wanted=on_keyframe_wanted,
        )


def _listen_error(error: OSError, host: str, port: int) -> ListenError:
    reason = error.strerror or str(error)
    return ListenError(
        error.errno,
        f"cannot listen on {host} port {port}: {reason}. Choose another port (0 picks a free port) or address",
    )
