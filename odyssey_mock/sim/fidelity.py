"""The fidelity of a run: with real WebRTC, or with peers that say the same and show nothing."""

from __future__ import annotations

from typing import Literal

from odyssey_mock.media.frame_encoder import MakeFrameEncoder, drawn
from odyssey_mock.sim import light
from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.platform import ClientNetwork, ServerNetwork

type Fidelity = Literal["light", "full"]
"""`full` runs real WebRTC; `light` puts a pair of peers without pixels in its place, and is ten times as fast."""


class LightClientNetwork(light.LightClientPeers, ClientNetwork):
    """A simulated client's, with light peers."""


class LightServerNetwork(light.LightServerPeers, ServerNetwork):
    """The simulated server's, with light peers."""


def client_network(fidelity: Fidelity, loop: SimulatedLoop, host: str) -> ClientNetwork:
    """The network of clients on the machine `host`."""
    return (LightClientNetwork if fidelity == "light" else ClientNetwork)(loop, host)


def server_network(fidelity: Fidelity, loop: SimulatedLoop, host: str) -> ServerNetwork:
    """The network of the server on the machine `host`."""
    return (LightServerNetwork if fidelity == "light" else ServerNetwork)(loop, host)


def frame_encoder(fidelity: Fidelity) -> MakeFrameEncoder:
    """What the server makes video with."""
    return light.light_frame_encoder if fidelity == "light" else drawn
