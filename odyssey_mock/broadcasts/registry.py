"""The registry of a mock's broadcasts: live broadcasts, and ended broadcasts whose playlist can still be fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, override

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.client_networks import ClientNetworks
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import PeerFactory

if TYPE_CHECKING:
    from odyssey_mock.media.frame_encoder import CountsFrames


class TooManySpectatorsError(PicklableError):
    """A broadcast or the server has its maximum number of spectators. A request may succeed once one has left."""


class Broadcasts(Mapping[str, Broadcast]):
    """The broadcasts of one server by stream id, oldest first, and the tasks that serve their spectators."""

    def __init__(
        self,
        *,
        settings: CurrentSettings,
        clock: Clock,
        entropy: Entropy,
        journal: Journal,
        peers: PeerFactory,
        offered: HostCandidates,
        networks: ClientNetworks,
        streams: StreamStore,
        base_url: str,
    ) -> None:
        """Create an empty registry.

        `offered`: the ICE host candidates of the spectators' peers.
        `base_url`: the server's HTTP URL without a trailing slash.
        """
        self._clock = clock
        self._settings = settings
        self._make_spectator = partial(
            Spectator,
            clock=clock,
            entropy=entropy,
            journal=journal,
            peers=peers,
            offered=offered,
            networks=networks,
        )
        self._make_broadcast = partial(
            Broadcast,
            clock=clock,
            entropy=entropy,
            journal=journal,
            base_url=base_url,
        )
        self._broadcasts: dict[str, Broadcast] = {}
        self._lingering: dict[str, Deadline] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        streams.on_forgotten(self._forget)

    @override
    def __getitem__(self, stream_id: str) -> Broadcast:
        return self._broadcasts[stream_id]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._broadcasts)

    @override
    def __len__(self) -> int:
        return len(self._broadcasts)

    def open(self, record: StreamRecord, encoders: CountsFrames, keyframes: Keyframes) -> Broadcast:
        """Open a broadcast of a stream. The caller must call `Broadcast.end` when the stream ends."""
        settings = self._settings.now
        broadcast = self._make_broadcast(
            record,
            encoders,
            keyframes,
            settings=settings,
            make_spectator=partial(self._make_spectator, settings=settings),
            on_ended=self._ended,
        )
        self._broadcasts[record.id] = broadcast
        return broadcast

    def admit(self, broadcast: Broadcast, offer: str) -> Spectator:
        """Create a spectator from its SDP offer, and start the task that serves it. Return the spectator.

        Raises:
            TooManySpectatorsError: the broadcast or the server has its maximum number of spectators.
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """
        settings = self._settings.now
        if (present := broadcast.audience_size) >= settings.broadcast_spectators:
            raise TooManySpectatorsError(
                "the broadcast has no capacity for another spectator; try again later"
            ).because(
                f"the broadcast has {present} spectators (setting `broadcast_spectators`: "
                f"{settings.broadcast_spectators})"
            )
        if (everywhere := sum(each.audience_size for each in self._broadcasts.values())) >= settings.spectators:
            raise TooManySpectatorsError("the server has no capacity for another spectator; try again later").because(
                f"all broadcasts have {everywhere} spectators (setting `spectators`: {settings.spectators})"
            )
        spectator = broadcast.admit(offer)
        task = asyncio.create_task(self._serve(broadcast, spectator), name=f"spectator of {broadcast.stream_id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return spectator

    async def close(self) -> None:
        """End and remove every broadcast; return once all spectators are closed."""
        for broadcast in list(self._broadcasts.values()):
            broadcast.end()
            self._forget(broadcast.stream_id)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, broadcast: Broadcast, spectator: Spectator) -> None:
        try:
            await spectator.run()
        finally:
            broadcast.gone(spectator)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{task.get_name()} failed", "exception": error, "task": task}
            )

    def _ended(self, broadcast: Broadcast) -> None:
        """Remove a broadcast whose stream has ended: with HLS after `hls_linger` seconds, otherwise at once."""
        stream_id = broadcast.stream_id
        if stream_id not in self._broadcasts:
            return  # already removed with its stream
        if broadcast.hls is None:
            self._forget(stream_id)
            return
        self._lingering[stream_id] = self._clock.call_later(
            self._settings.now.hls_linger, "broadcast forgotten", lambda: self._forget(stream_id)
        )

    def _forget(self, stream_id: str) -> None:
        deadline = self._lingering.pop(stream_id, None)
        if deadline is not None:
            deadline.cancel()
        broadcast = self._broadcasts.pop(stream_id, None)
        if broadcast is not None and broadcast.hls is not None:
            broadcast.hls.close()
