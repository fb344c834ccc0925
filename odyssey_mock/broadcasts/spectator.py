"""`Spectator`: the mock's side of one WebRTC spectator, which answers the offer and sends the stream's packets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from odyssey_mock.client_networks import ClientNetworks
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import PeerFactory
from odyssey_mock.rtc.sdp_fragment import ufrags_of
from odyssey_mock.settings import Settings

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec

ANSWER_LIMIT = 10.0
"""Timeout in seconds for creating the answer, which normally takes milliseconds."""


FINISH_LIMIT = 0.5
"""Timeout in seconds for sending a stream's last frames, which normally takes milliseconds."""

logger = get_logger(__name__)


class SpectatorState(StrEnum):
    """States of a spectator."""

    NEW = "new"
    """The offer was received."""
    ANSWERED = "answered"
    """The answer was created; ICE and DTLS are in progress."""
    CONNECTED = "connected"
    """The peer is connected; the stream is sent to it."""
    GONE = "gone"
    """The spectator was ended, and its connection is closed."""


class LateAnswerError(Exception):
    """The SDP answer was not created within `ANSWER_LIMIT`, because the mock is overloaded."""


class SpectatorGoneError(Exception):
    """The spectator was ended before its offer was answered. The message states why, such as `the stream has ended`."""


class Spectator:
    """One spectator, from its offer until its connection is closed. `run` serves the spectator; `leave` ends it.

    Attributes:
        number: the spectator's number in its broadcast, from 1, as in the journal.
        resource: the last part of its WHEP resource URL, and a secret: a client that has it can end the spectator.
        etag: the quoted entity tag of the resource (RFC 9110 section 8.8.3).
        ufrags: the ICE user name fragments (`ice-ufrag`) of its offer.
        track: the bounded queue of packets to send; packets are dropped if the spectator receives too slowly.

    The callback `on_closed` receives `resource` when the client closes its peer, or the peer is lost.
    """

    def __init__(
        self,
        record: StreamRecord,
        offer: str,
        *,
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        journal: Journal,
        peers: PeerFactory,
        offered: HostCandidates,
        networks: ClientNetworks,
        number: int,
        codecs: Sequence[Codec],
        on_connected: Callable[[], None],
        on_closed: Callable[[str], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        from odyssey_mock.rtc.packet_track import PacketTrack  # noqa: PLC0415 - see `odyssey_mock.rtc`

        self.number = number
        self.resource = entropy.token(18)
        self.etag = f'"{entropy.token(6)}"'
        self.ufrags = ufrags_of(offer)
        self.state = SpectatorState.NEW
        self.codec: Codec | None = None
        """The negotiated codec; None before the SDP answer."""
        self._handshake_limit = settings.spectator_handshake
        self._clock = clock
        self._journal = journal
        self._record = record
        self._offer = offer
        self._on_connected = on_connected
        self._on_closed = on_closed
        self.track = PacketTrack()
        self._leaving = asyncio.Event()
        self._why = ""
        self._is_stream_over = False
        self._answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._peer = peers.spectator_peer(
            self.track,
            codecs,
            offered=offered,
            on_connected=self._connected,
            on_lost=self._closed,
            on_keyframe_wanted=on_keyframe_wanted,
        )
        note = partial(journal.record, "note", account=record.account_id, session=record.session_id, stream=record.id)
        self._network = networks.join(self._peer, "spectator", note)

    def __repr__(self) -> str:
        return f"<Spectator {self.number} of {self._record.id}, {self.state}>"

    @property
    def is_leaving(self) -> bool:
        """Whether the spectator was ended; it may still be closing."""
        return self._leaving.is_set()

    @property
    def frames_dropped(self) -> int:
        """Number of frames dropped because the spectator was too slow, or was waiting for its first key frame."""
        return self.track.dropped

    def snapshot(self) -> dict[str, JSON]:
        """Return the spectator as `GET /_mock/state` shows it."""
        return {"number": self.number, "state": self.state, "codec": self.codec, "frames_dropped": self.frames_dropped}

    async def answer(self) -> str:
        """Wait until `run` has created the SDP answer, and return it.

        Raises:
            DescriptionError: the offer is invalid.
            SpectatorGoneError: the spectator was ended before the answer was created.
            LateAnswerError: the answer was not created within `ANSWER_LIMIT`.
        """
        return await asyncio.shield(self._answered)

    async def add_candidate(self, candidate: str, mid: str | None) -> None:
        """Add a trickled ICE candidate.

        Raises:
            DescriptionError: the candidate is invalid.
        """
        await self._peer.add_candidate(candidate, mid, None)

    def leave(self, why: str) -> None:
        """End the spectator; `run` then closes its connection and returns. The first call sets the reason `why`."""
        if not self._leaving.is_set():
            self._why = why
            self._leaving.set()

    def vanish(self, why: str) -> None:
        """Drop the spectator's connection without closing it properly, as when the network fails."""
        self._peer.vanish()
        self.leave(why)

    def end(self) -> None:
        """End the spectator after the stream's last frames are sent."""
        if not self._leaving.is_set():
            self._is_stream_over = True
        self.leave("the stream has ended")

    async def run(self) -> None:
        """Answer the offer, and send the stream to the connected peer until the spectator is ended.

        If the offer cannot be answered, this method returns normally, and `answer` raises the error.
        """
        try:
            async with self._peer:
                await self._serve()
        finally:
            self._network.leave()
            self._settle(SpectatorGoneError(self._why or "the mock was stopped"))
            self._go(SpectatorState.GONE, why=self._why or "the mock was stopped")

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                answer, self.codec = await self._peer.answer(self._offer)
        except TimeoutError:
            why = f"its offer was not answered within {ANSWER_LIMIT:g} s, because the mock is overloaded"
            self.leave(why)
            self._settle(LateAnswerError(why))
            return
        except Exception as error:  # `answer` raises the error, of any class
            self.leave(f"its offer could not be answered: {str(error) or type(error).__name__}")
            self._settle(error)
            return
        if self._leaving.is_set():
            return
        self._go(SpectatorState.ANSWERED)
        limit = self._clock.call_later(self._handshake_limit, "spectator handshake", self._overdue)
        self._answered.set_result(answer)
        try:
            await self._leaving.wait()
        finally:
            limit.cancel()
        if self.state is SpectatorState.CONNECTED and self._is_stream_over:
            await self._finish()

    async def _finish(self) -> None:
        """Send the last frames, then the end of the stream (RTCP BYE, RFC 3550 section 6.6)."""
        try:
            async with asyncio.timeout(FINISH_LIMIT):
                self.track.finish()
                await self.track.drained()
        except TimeoutError:
            logger.info("%r: the last frames were not sent within %s s", self, FINISH_LIMIT)

    def _settle(self, error: Exception) -> None:
        """Make calls of `answer` raise `error`, unless the answer was already created."""
        if not self._answered.done():
            self._answered.set_exception(error)
            self._answered.exception()  # prevents a warning of asyncio if no request waits for it

    def _overdue(self) -> None:
        if self.state is SpectatorState.ANSWERED:
            self.leave("it did not connect in time")

    def _closed(self) -> None:
        if not self._leaving.is_set():
            self._on_closed(self.resource)
        self.leave("its peer connection was lost or closed")

    def _connected(self) -> None:
        if self._leaving.is_set():
            return
        self._go(SpectatorState.CONNECTED)
        self._on_connected()

    def _go(self, state: SpectatorState, **more: JSON) -> None:
        before, self.state = self.state, state
        self._journal.record(
            "state",
            "spectator",
            {"from": before, "to": state, "spectator": self.number, "codec": self.codec, **more},
            account=self._record.account_id,
            session=self._record.session_id,
            stream=self._record.id,
        )


class MakeSpectator(Protocol):
    """Factory of the spectators of broadcasts."""

    def __call__(
        self,
        record: StreamRecord,
        offer: str,
        *,
        number: int,
        codecs: Sequence[Codec],
        on_connected: Callable[[], None],
        on_closed: Callable[[str], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> Spectator:
        """Create a spectator; the parameters are those of `Spectator`.

        Raises:
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """
