"""Light peers, which have the same events as WebRTC peers, and video without pixels (fidelity `light`).

To create light peers instead of aiortc's, add a mixin to a `Network` of the client or the mock::

    class LightClientNetwork(LightClientPeers, ClientNetwork): ...

`MockOdyssey(frame_encoder=light_frame_encoder)` makes light packets instead of drawn video.
"""

from odyssey_mock.sim.light.networks import LightClientPeers, LightServerPeers
from odyssey_mock.sim.light.video import LightFrame, LightPacket, light_frame_encoder, stamp_of

__all__ = ["LightClientPeers", "LightFrame", "LightPacket", "LightServerPeers", "light_frame_encoder", "stamp_of"]
