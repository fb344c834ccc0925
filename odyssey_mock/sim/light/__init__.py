"""The fidelity `light`: peers with the same events as WebRTC's, and video without pixels.

The `Network` of client and mock puts them in the place of aiortc's, `MockOdyssey(frame_encoder=...)` in that of drawn
video::

    class LightClientNetwork(LightClientPeers, ClientNetwork): ...
"""

from odyssey_mock.sim.light.networks import LightClientPeers, LightServerPeers
from odyssey_mock.sim.light.video import LightFrame, LightPacket, light_frame_encoder, stamp_of

__all__ = ["LightClientPeers", "LightFrame", "LightPacket", "LightServerPeers", "light_frame_encoder", "stamp_of"]
