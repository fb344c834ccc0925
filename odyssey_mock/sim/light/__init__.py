"""The fidelity `light`: peers with the same events as WebRTC peers, and video without pixels.

A `Network` of the client or the mock creates light peers instead of aiortc's.
`MockOdyssey(frame_encoder=light_frame_encoder)` makes light packets instead of drawn video::

    class LightClientNetwork(LightClientPeers, ClientNetwork): ...
"""

from odyssey_mock.sim.light.networks import LightClientPeers, LightServerPeers
from odyssey_mock.sim.light.video import LightFrame, LightPacket, light_frame_encoder, stamp_of

__all__ = ["LightClientPeers", "LightFrame", "LightPacket", "LightServerPeers", "light_frame_encoder", "stamp_of"]
