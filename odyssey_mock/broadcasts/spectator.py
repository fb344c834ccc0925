"""One spectator over WebRTC: a peer that answers an offer, and is sent the packets of the stream."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.encoder import Codec
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.protocols import PeerFactory
from odyssey_mock.rtc.sdp_fragment import ufrags_of
from odyssey_mock.settings import Settings

ANSWER_LIMIT = 10.0
"""Seconds that making an answer may take; it takes milliseconds."""


FINISH_LIMIT = 0.5
"""Seconds that the last frames of a stream may take to go out; they take milliseconds."""

logger = logging.getLogger(__name__)


class SpectatorState(StrEnum):
    """Where a spectator stands."""

    NEW = "new"
    """Its offer has come."""
    ANSWERED = "answered"
    """The answer was made; ICE and DTLS are under way."""
    CONNECTED = "connected"
    """It is sent the stream."""
    GONE = "gone"
    """Nothing of it is left."""


class SpectatorGoneError(Exception):
    """The spectator left, or the stream ended, while its offer was being answered; the message says which."""


class Spectator:
    """One spectator, from its offer until nothing of it is left. `run` carries it; `leave` ends it.

    Attributes:
        number: counts the spectators of a broadcast, from 1; the journal has it.
        resource: the end of its address; whoever knows it can end it.
        etag: of the resource (RFC 9110 section 8.8.3), quoted.
        ufrags: the ICE user names of its offer.
        track: takes the packets of its codec; one that it is too slow for is lost to it.
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
        number: int,
        codecs: Sequence[Codec],
        on_connected: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        self.number = number
        self.resource = entropy.token(18)
        self.etag = f'"{entropy.token(6)}"'
        self.ufrags = ufrags_of(offer)
        self.state = SpectatorState.NEW
        self.codec: Codec | None = None
        """What was agreed on, once it has been answered."""
        self._handshake_limit = settings.spectator_handshake
        self._clock = clock
        self._journal = journal
        self._record = record
        self._offer = offer
        self._on_connected = on_connected
        self.track = PacketTrack()
        self._leaving = asyncio.Event()
        self._why = ""
        self._is_stream_over = False
        self._answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._peer = peers.spectator_peer(
            self.track,
            codecs,
            loopback_only=settings.loopback_only,
            on_connected=self._connected,
            on_lost=lambda: self.leave("its peer connection was lost or closed"),
            on_keyframe_wanted=on_keyframe_wanted,
        )

    def __repr__(self) -> str:
        return f"<Spectator {self.number} of {self._record.id}, {self.state}>"

    @property
    def is_leaving(self) -> bool:
        """Whether it was ended, though something of it may still be there."""
        return self._leaving.is_set()

    @property
    def frames_dropped(self) -> int:
        """How many frames it was too slow for, or came before its first key frame."""
        return self.track.dropped

    def snapshot(self) -> dict[str, JSON]:
        """What `GET /_mock/state` shows of it."""
        return {"number": self.number, "state": self.state, "codec": self.codec, "frames_dropped": self.frames_dropped}

    async def answer(self) -> str:
        """The answer to its offer. `run` makes it.

        Raises:
            DescriptionError: the offer cannot be answered.
            SpectatorGoneError: it was ended before.
            TimeoutError: it was not made within `ANSWER_LIMIT`.
        """
        return await asyncio.shield(self._answered)

    async def add_candidate(self, candidate: str, mid: str | None) -> None:
        """Take a trickled candidate.

        Raises:
            DescriptionError: it is none.
        """
        await self._peer.add_candidate(candidate, mid, None)

    def leave(self, why: str) -> None:
        """End it, whatever it is doing; `run` returns once nothing is left. The first reason is the one that counts."""
        if not self._leaving.is_set():
            self._why = why
            self._leaving.set()

    def vanish(self, why: str) -> None:
        """End it without a goodbye, as when a cable is cut; otherwise as `leave`."""
        self._peer.vanish()
        self.leave(why)

    def end(self) -> None:
        """The stream has ended: let the last frames go out, then end it."""
        if not self._leaving.is_set():
            self._is_stream_over = True
        self.leave("the stream has ended")

    async def run(self) -> None:
        """Answer, connect, and send until it leaves.

        An offer that cannot be answered is told by `answer` alone.
        """
        try:
            async with self._peer:
                await self._serve()
        finally:
            self._settle(SpectatorGoneError(self._why or "the mock was stopped"))
            self._go(SpectatorState.GONE, why=self._why or "the mock was stopped")

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                answer, self.codec = await self._peer.answer(self._offer)
        except Exception as error:  # whatever it is, whoever sent the offer is told: no other waits for it
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
        """Let the last frames go out, and the end after them (RTCP BYE, RFC 3550 section 6.6)."""
        try:
            async with asyncio.timeout(FINISH_LIMIT):
                self.track.finish()
                await self.track.drained()
        except TimeoutError:
            logger.info("%r did not take its last frames within %s s", self, FINISH_LIMIT)

    def _settle(self, error: Exception) -> None:
        """Let nobody wait for an answer any longer."""
        if not self._answered.done():
            self._answered.set_exception(error)
            self._answered.exception()  # seen: whoever waited may be gone

    def _overdue(self) -> None:
        if self.state is SpectatorState.ANSWERED:
            self.leave("it did not connect in time")

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
    """Makes the spectators of broadcasts."""

    def __call__(
        self,
        record: StreamRecord,
        offer: str,
        *,
        number: int,
        codecs: Sequence[Codec],
        on_connected: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> Spectator:
        """Make one, as `Spectator` does.

        Raises:
            OSError: no peer can be made: out of file descriptors, say.
        """
