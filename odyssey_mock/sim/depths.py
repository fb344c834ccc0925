"""How deep a run goes: with real WebRTC, or with peers that say the same and show nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, override

from odyssey_client.seams import Clock
from odyssey_mock.media.footage import MakeFootage, drawn
from odyssey_mock.sim import light
from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.seams import ClientNetwork, ServerNetwork

if TYPE_CHECKING:
    import av

    from odyssey_client.connection.peer import PeerListener
    from odyssey_client.errors import PeerError
    from odyssey_client.rtc.ends import ClientEnd
    from odyssey_client.rtc.ends import SpectatorEnd as ClientSpectatorEnd
    from odyssey_mock.media.encoder import Codec
    from odyssey_mock.rtc.ends import SpectatorEnd, StreamerEnd
    from odyssey_mock.rtc.packets import PacketTrack

type Depth = Literal["light", "full"]
"""`full` runs real WebRTC; `light` puts a pair of peers without pixels in its place, and is ten times as fast."""


class LightClientNetwork(ClientNetwork):
    """A client's, with light peers."""

    @override
    def peer(self, clock: Clock, listener: PeerListener) -> ClientEnd:
        return light.client_peer(self.ice_addresses()[0], clock, listener)

    @override
    def spectator_peer(
        self,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[av.VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> ClientSpectatorEnd:
        return light.spectator_client_peer(
            self.ice_addresses()[0], clock, connected=connected, ended=ended, frame=frame, lost=lost
        )


class LightServerNetwork(ServerNetwork):
    """The server's, with light peers."""

    @override
    def streamer_peer(
        self,
        track: PacketTrack,
        *,
        loopback_only: bool,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> StreamerEnd:
        return light.streamer_peer(
            self.ice_addresses(loopback_only)[0],
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
        loopback_only: bool,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> SpectatorEnd:
        return light.spectator_peer(
            self.ice_addresses(loopback_only)[0],
            track,
            codecs,
            on_connected=on_connected,
            on_lost=on_lost,
            on_keyframe_wanted=on_keyframe_wanted,
        )


def client_network(depth: Depth, loop: SimulatedLoop, host: str) -> ClientNetwork:
    """The network of clients on the machine `host`."""
    return (LightClientNetwork if depth == "light" else ClientNetwork)(loop, host)


def server_network(depth: Depth, loop: SimulatedLoop, host: str) -> ServerNetwork:
    """The network of the server on the machine `host`."""
    return (LightServerNetwork if depth == "light" else ServerNetwork)(loop, host)


def footage(depth: Depth) -> MakeFootage:
    """What the server makes video with."""
    return light.light_footage if depth == "light" else drawn
