"""The fidelity of a run: `full` uses real WebRTC; `light` uses light peers, which exchange messages but no pixels."""

from __future__ import annotations

from typing import Literal

from odyssey_mock.media.frame_encoder import MakeFrameEncoder, drawn
from odyssey_mock.sim import light
from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.platform import ClientNetwork, ServerNetwork

type Fidelity = Literal["light", "full"]
"""`full` runs real WebRTC. `light` replaces WebRTC by peers without pixels, and is ten times as fast."""


class LightClientNetwork(light.LightClientPeers, ClientNetwork):
    """The network of a simulated client, with light peers."""


class LightServerNetwork(light.LightServerPeers, ServerNetwork):
    """The network of the simulated server, with light peers."""


def client_network(fidelity: Fidelity, loop: SimulatedLoop, host: str) -> ClientNetwork:
    """Return the network for clients on `host`, with light peers or real WebRTC as `fidelity` requires."""
    return (LightClientNetwork if fidelity == "light" else ClientNetwork)(loop, host)


def server_network(fidelity: Fidelity, loop: SimulatedLoop, host: str) -> ServerNetwork:
    """Return the network for the server on `host`, with light peers or real WebRTC as `fidelity` requires."""
    return (LightServerNetwork if fidelity == "light" else ServerNetwork)(loop, host)


def frame_encoder(fidelity: Fidelity) -> MakeFrameEncoder:
    """Return the function that creates the server's frame encoders for `fidelity`."""
    return light.light_frame_encoder if fidelity == "light" else drawn
