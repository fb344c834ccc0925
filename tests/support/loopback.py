"""Runs client and mock over the loopback interface, with WebRTC peers or with light peers.

Light peers send the same events as WebRTC peers, but no real video.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, override

import odyssey_client
from odyssey_client import AdvancedConfig, Odyssey, OdysseyError
from odyssey_mock import MockOdyssey
from odyssey_mock.media.frame_encoder import drawn
from odyssey_mock.sim import light
from odyssey_mock.system_network import SystemNetwork
from tests.support.leftovers import nothing_left

HOST = "127.0.0.1"
SIZE = (176, 320)

type PeerKind = Literal["real", "light"]


class LightClientNetwork(light.LightClientPeers):
    """The client's network with real sockets, and with light peers instead of WebRTC peers."""

    @override
    def ice_addresses(self) -> list[str]:
        return [HOST]


class LightServerNetwork(light.LightServerPeers):
    """The mock's network with real sockets, and with light peers instead of WebRTC peers."""


@dataclass
class Told:
    """Records the calls of a client's handlers in order, each as one text."""

    words: list[str] = field(default_factory=list)

    def handlers(self) -> dict[str, Callable[..., None]]:
        """Return handlers for `Odyssey.connect` that record their calls in `words`."""

        def errors(error: OdysseyError, fatal: bool) -> None:
            self.words.append(f"{type(error).__name__}: {error} {'(fatal)' if fatal else ''}")

        return {
            "on_status_change": self.words.append,
            "on_error": errors,
            "on_stream_started": lambda _: self.words.append("started"),
            "on_stream_ended": lambda: self.words.append("ended"),
            "on_stream_error": lambda reason, _: self.words.append(f"stream error: {reason}"),
            "on_interact_acknowledged": lambda prompt: self.words.append(f"acknowledged: {prompt}"),
        }


@dataclass
class Stage:
    """A mock, and methods that create clients for it."""

    fidelity: PeerKind
    mock: MockOdyssey

    def network(self) -> odyssey_client.Network:
        """Return a new client network, with light peers if `fidelity` is `light`."""
        return LightClientNetwork() if self.fidelity == "light" else odyssey_client.SystemNetwork()

    def client(self, **advanced: Any) -> Odyssey:
        """Return a client; `advanced` are fields of `AdvancedConfig`."""
        settings = AdvancedConfig(**{"telemetry": False, "initial_retry_delay_ms": 10, **advanced})
        return Odyssey(self.mock.api_key, api_url=self.mock.url, advanced=settings, network=self.network())

    def session_history(self) -> list[tuple[Any, Any]]:
        """Return the transitions of the mock's sessions as pairs (event, new state)."""
        return [(entry.data["event"], entry.data["to"]) for entry in self.mock.journal.find("state", "session")]


@asynccontextmanager
async def staged(fidelity: PeerKind, **settings: Any) -> AsyncIterator[Stage]:
    """Run a mock with small frames, and yield its `Stage`.

    Assert at the end that mock and clients leak no tasks, threads or file descriptors.
    """
    served = LightServerNetwork() if fidelity == "light" else SystemNetwork()
    encoder = light.light_frame_encoder if fidelity == "light" else drawn
    small = {"portrait_size": SIZE, "landscape_size": SIZE[::-1]}
    async with (
        nothing_left(),
        MockOdyssey(network=served, frame_encoder=encoder, **{**small, **settings}) as mock,
    ):
        yield Stage(fidelity, mock)
