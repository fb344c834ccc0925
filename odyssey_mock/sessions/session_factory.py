"""`SessionFactory`, which creates the sessions of a server with the services that they use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from odyssey_mock.broadcasts.monitors import Monitors
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.client_networks import ClientNetworks
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.faults.registry import Faults
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import MockNetwork, StreamerPeer
from odyssey_mock.sessions.frame_pump import frame_turns
from odyssey_mock.sessions.idle_scenes import IdleScenes
from odyssey_mock.sessions.session_identity import SessionIdentity

if TYPE_CHECKING:
    from odyssey_mock.media.frame_encoder import MakeFrameEncoder
    from odyssey_mock.sessions.session import Session

type PeerObserver = Callable[[StreamerPeer, SessionIdentity], object]


@dataclass(eq=False, kw_only=True)
class SessionFactory:
    """Creates sessions. Call it with the parameters of `MakeSession`."""

    settings: CurrentSettings
    clock: Clock
    entropy: Entropy
    network: MockNetwork
    offered: HostCandidates
    """The ICE host candidates of the sessions' peers."""
    networks: ClientNetworks
    journal: Journal
    faults: Faults
    streams: StreamStore
    broadcasts: Broadcasts
    monitors: Monitors
    make_frame_encoder: MakeFrameEncoder
    """Factory of the encoders of live streams."""
    peer_observers: list[PeerObserver] = field(default_factory=list)
    """Called with each new peer of a session."""

    @cached_property
    def frame_turns(self) -> asyncio.Semaphore:
        """Limits how many frames of all sessions are made at the same time."""
        return frame_turns()

    @cached_property
    def idle_scenes(self) -> IdleScenes:
        """The idle scenes that sessions without a stream share."""
        return IdleScenes(self.make_frame_encoder, self.clock.time)

    def __call__(
        self,
        identity: SessionIdentity,
        *,
        on_released: Callable[[Session], None],
        on_gone: Callable[[Session], None],
    ) -> Session:
        """Create a session, which keeps the current settings; the parameters are those of `Session`."""
        # See `odyssey_mock.sessions`.
        from odyssey_mock.sessions.client_connection import ClientConnection  # noqa: PLC0415
        from odyssey_mock.sessions.session import Session  # noqa: PLC0415
        from odyssey_mock.sessions.session_lifecycle import SessionVideo  # noqa: PLC0415
        from odyssey_mock.sessions.stream_setup import StreamSetup  # noqa: PLC0415

        settings = self.settings.now
        connect = partial(
            ClientConnection,
            journal=self.journal,
            faults=self.faults,
            clock=self.clock,
            peers=self.network,
            offered=self.offered,
            networks=self.networks,
            profile=settings.latency,
            on_peer=self._on_peer,
        )
        setup = StreamSetup(
            settings=settings,
            clock=self.clock,
            entropy=self.entropy,
            faults=self.faults,
            make_frame_encoder=self.make_frame_encoder,
            frame_turns=self.frame_turns,
            idle_scenes=self.idle_scenes,
        )
        make_video = partial(
            SessionVideo,
            settings=settings,
            clock=self.clock,
            journal=self.journal,
            faults=self.faults,
            streams=self.streams,
            broadcasts=self.broadcasts,
            monitors=self.monitors,
            setup=setup,
        )
        return Session(
            identity,
            settings=settings,
            clock=self.clock,
            journal=self.journal,
            connect=connect,
            make_video=make_video,
            on_released=on_released,
            on_gone=on_gone,
        )

    def _on_peer(self, peer: StreamerPeer, identity: SessionIdentity) -> None:
        for observer in self.peer_observers:
            observer(peer, identity)
