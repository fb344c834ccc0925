"""The depth `light`: peers with the same events as WebRTC's, and video without pixels.

Put in the place of aiortc's by the `Network` of client and mock, and of drawn video by `MockOdyssey(footage=...)`::

    class LightClientNetwork(LightClientPeers, ClientNetwork): ...
"""

from odyssey_mock.sim.light.client import client_peer
from odyssey_mock.sim.light.frames import LightFrame, stamp_of
from odyssey_mock.sim.light.networks import LightClientPeers, LightServerPeers
from odyssey_mock.sim.light.packets import LightPacket, light_footage
from odyssey_mock.sim.light.spectators import spectator_client_peer, spectator_peer
from odyssey_mock.sim.light.streamer import streamer_peer

__all__ = [
    "LightClientPeers",
    "LightFrame",
    "LightPacket",
    "LightServerPeers",
    "client_peer",
    "light_footage",
    "spectator_client_peer",
    "spectator_peer",
    "stamp_of",
    "streamer_peer",
]
