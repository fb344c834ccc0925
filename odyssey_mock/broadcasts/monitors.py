"""Monitors: WebRTC peers with which the console shows a running stream. Clients of the service cannot detect them.

A monitor is a spectator of a broadcast that is announced to no client. This broadcast has a journal, a clock, limits
and a source of ids of its own. So nothing that clients, tests or the count of spectators can see depends on the
monitors. The packets are those that are encoded for the client and its spectators. A further codec is encoded only if a
monitor supports no other one. A new monitor requests a key frame, as each new spectator does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.registry import Broadcasts, TooManySpectatorsError
from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.client_networks import ClientNetworks
from odyssey_mock.core.clock import RealClock
from odyssey_mock.core.entropy import SystemEntropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import PeerFactory

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec, VideoPacket
    from odyssey_mock.media.frame_encoder import CountsFrames

MONITORS = 50
"""Maximum number of monitors of all streams: a page shows only visible streams. Each needs some file descriptors."""

HANDSHAKE = 10.0
"""Real seconds that a monitor has to connect. The mock's clock may stand still, and lists no deadlines of monitors."""


class NoRunningStreamError(PicklableError):
    """The stream is unknown or has ended, so that it cannot be monitored."""


class TooManyMonitorsError(PicklableError):
    """The mock has `MONITORS` monitors. A request may succeed once one has left."""


class Monitors:
    """The monitors of all running streams of one mock."""

    def __init__(self, *, settings: CurrentSettings, peers: PeerFactory, offered: HostCandidates) -> None:
        """Create an empty registry; `offered` are the ICE host candidates of the monitors."""
        self._settings = settings
        self._peers = peers
        self._offered = offered
        self._streams: dict[str, StreamMonitors] = {}
        self._hidden: Broadcasts | None = None
        """The unannounced broadcasts; None until the first monitor, which most mocks never have."""

    def open(self, record: StreamRecord, encoders: CountsFrames, keyframes: Keyframes) -> StreamMonitors:
        """Let monitors watch a stream. The caller must call `StreamMonitors.end` when the stream ends."""
        monitors = StreamMonitors(self, record, encoders, keyframes)
        self._streams[record.id] = monitors
        return monitors

    async def admit(self, stream_id: str, offer: str) -> Spectator:
        """Create a monitor from its SDP offer, and start the task that serves it. Return the monitor.

        Raises:
            NoRunningStreamError: no running stream has this id.
            TooManyMonitorsError: the mock has `MONITORS` monitors.
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """
        monitors = self._of(stream_id)
        if self._hidden is None:
            self._hidden = await self._hidden_broadcasts()
        if monitors.broadcast is None:
            monitors.broadcast = self._hidden.open(monitors.record, monitors.encoders, monitors.keyframes)
        try:
            return self._hidden.admit(monitors.broadcast, offer)
        except TooManySpectatorsError as error:
            raise TooManyMonitorsError(
                f"expected at most {MONITORS} open videos of the console, got another one; close one of its pages"
            ) from error

    def delete(self, stream_id: str, resource: str) -> bool:
        """End the monitor with this `Spectator.resource`; return False if it is unknown or was ended already.

        Raises:
            NoRunningStreamError: no running stream has this id.
        """
        broadcast = self._of(stream_id).broadcast
        return broadcast is not None and broadcast.delete(resource)

    def forget(self, stream_id: str) -> None:
        """Admit no further monitors of a stream, because it has ended."""
        self._streams.pop(stream_id, None)

    async def close(self) -> None:
        """End all monitors; return once they are closed."""
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            await hidden.close()
            await self._clock.__aexit__(None, None, None)

    @cached_property
    def _clock(self) -> RealClock:
        """The clock of the unannounced broadcasts. Created with the first monitor, which most mocks never have."""
        return RealClock()

    def _of(self, stream_id: str) -> StreamMonitors:
        monitors = self._streams.get(stream_id)
        if monitors is None:
            raise NoRunningStreamError(
                f"expected the id of a running stream, got {stream_id[:64]!r}: it has ended or never existed; "
                "GET /_mock/state lists the streams"
            )
        return monitors

    async def _hidden_broadcasts(self) -> Broadcasts:
        clock = await self._clock.__aenter__()
        settings = self._settings.now.replace(
            hls=False,
            broadcast_spectators=MONITORS,
            spectators=MONITORS,
            spectator_handshake=HANDSHAKE,
            network_profile=None,
        )
        current = CurrentSettings(settings)
        return Broadcasts(
            settings=current,
            clock=clock,
            entropy=SystemEntropy(),
            journal=Journal(clock.time, 1),
            peers=self._peers,
            offered=self._offered,
            networks=ClientNetworks(current, clock, lambda: ""),  # a page of the mock, so the network is not impaired
            streams=StreamStore(1),
            base_url="",
        )


class StreamMonitors:
    """The monitors of one stream: a `FrameSink`, to which the frame pump of the stream passes each encoded frame.

    Attributes:
        record: the record of the stream.
        encoders: the encoders of the stream.
        keyframes: the key frame requests of all receivers of the stream.
        broadcast: the unannounced broadcast with the monitors; None until the first one.
    """

    def __init__(self, registry: Monitors, record: StreamRecord, encoders: CountsFrames, keyframes: Keyframes) -> None:
        self._registry = registry
        self.record = record
        self.encoders = encoders
        self.keyframes = keyframes
        self.broadcast: Broadcast | None = None

    @property
    def codecs(self) -> Collection[Codec]:
        """The codecs in which the monitors need the next frame."""
        return () if self.broadcast is None else self.broadcast.codecs

    def push(self, packets: Mapping[Codec, VideoPacket]) -> None:
        """Pass a frame, encoded in each codec, to every connected monitor, without blocking."""
        if self.broadcast is not None:
            self.broadcast.push(packets)

    def end(self) -> None:
        """End all monitors of the stream. The stream's last frame must already be pushed."""
        self._registry.forget(self.record.id)
        if self.broadcast is not None:
            self.broadcast.end()
