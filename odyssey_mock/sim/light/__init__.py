"""The fidelity `light`: peers with the same events as WebRTC's, and video without pixels.

Put in the place of aiortc's by the `Network` of client and mock, and of drawn video by `MockOdyssey(footage=...)`::

    class LightClientNetwork(LightClientPeers, ClientNetwork): ...
"""

from odyssey_mock.sim.light.networks import LightClientPeers, LightServerPeers
from odyssey_mock.sim.light.video import LightFrame, LightPacket, light_footage, stamp_of

__all__ = ["LightClientPeers", "LightFrame", "LightPacket", "LightServerPeers", "light_footage", "stamp_of"]
