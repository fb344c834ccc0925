"""Mixins for networks with light peers. List a mixin before the base class that defines `ice_addresses`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, override

from odyssey_client import SystemNetwork as ClientNetwork
from odyssey_client.platform import Clock
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.sim.light.client_peer import LightClientPeer
from odyssey_mock.sim.light.spectator_peer import LightClientSpectatorPeer, LightSpectatorPeer
from odyssey_mock.sim.light.streamer_peer import LightStreamerPeer
from odyssey_mock.system_network import SystemNetwork as ServerNetwork

if TYPE_CHECKING:
    import av

    from odyssey_client.errors import PeerError
    from odyssey_client.platform import ClientPeer, PeerListener
    from odyssey_client.platform import SpectatorPeer as ClientSpectatorPeer
    from odyssey_mock.media.encoder import Codec
    from odyssey_mock.rtc.packet_track import PacketTrack
    from odyssey_mock.rtc.protocols import SpectatorPeer, StreamerPeer


class LightClientPeers(ClientNetwork):
    """Mixin for a client's `Network`: it creates light peers, which use the first of the network's addresses."""

    @override
    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        return LightClientPeer(self.ice_addresses()[0], listener)

    @override
    def spectator_peer(
        self,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[av.VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> ClientSpectatorPeer:
        return LightClientSpectatorPeer(
            self.ice_addresses()[0], connected=connected, ended=ended, frame=frame, lost=lost
        )


class LightServerPeers(ServerNetwork):
    """Mixin for a mock's `Network`: it creates light peers, which use any free port of the network's first address."""

    @override
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
        return LightStreamerPeer(
            self.ice_addresses(offered.loopback_only)[0],
            track,
            on_connected=on_connected,
            on_lost=on_lost,
            on_message=on_message,
            on_keyframe_wanted=on_keyframe_wanted,
        )

    @override
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
        return LightSpectatorPeer(
            self.ice_addresses(offered.loopback_only)[0],
            track,
            codecs,
            on_connected=on_connected,
            on_lost=on_lost,
            on_keyframe_wanted=on_keyframe_wanted,
        )
