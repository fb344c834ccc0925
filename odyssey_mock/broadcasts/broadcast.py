"""The broadcast of one stream. WebRTC spectators and HLS get the same encoded packets."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from odyssey_mock.broadcasts.hls import HlsStream
from odyssey_mock.broadcasts.spectator import MakeSpectator, Spectator, SpectatorState
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.settings import Settings

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec, VideoPacket
    from odyssey_mock.media.frame_encoder import CountsFrames

_ORDER: tuple[Codec, ...] = ("h264", "vp8")
"""All codecs, starting with the one that is cheapest to encode."""

DELETABLE_FOR = 10.0
"""Seconds for which a spectator can still be deleted once after its peer has closed.

A client that leaves closes its peer and deletes its resource, in either order. Firefox closes the peer first.
"""

_MOST_CLOSED = 1000
"""Maximum number of spectators with a closed peer that a broadcast remembers; it forgets the oldest ones."""


class Broadcast:
    """The broadcast of one stream. The frame pump of the stream passes it each encoded frame (`push`).

    Attributes:
        stream_id: the id of the stream.
        account_id: the account that owns the stream.
        session_id: the session of the stream.
        token: the spectator token.
        hls: the playlist and segments; None if HLS is disabled.
        is_over: whether the stream has ended.
    """

    def __init__(
        self,
        record: StreamRecord,
        encoders: CountsFrames,
        keyframes: Keyframes,
        *,
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        journal: Journal,
        base_url: str,
        make_spectator: MakeSpectator,
        on_ended: Callable[[Broadcast], None],
    ) -> None:
        """Open the broadcast; `on_ended(broadcast)` is called once, when its stream has ended."""
        self.stream_id = record.id
        self.account_id = record.account_id
        self.session_id = record.session_id
        self.token = entropy.token(24)
        self._path = f"/broadcast/{record.id}"
        self._base_url = base_url
        self.is_over = False
        self.hls: HlsStream | None = None
        if settings.hls:
            self.hls = HlsStream(
                record.timeline.size,
                record.timeline.fps,
                segment_duration=settings.hls_segment_duration,
                segments=settings.hls_segments,
                started_at=record.started_at,
                want_keyframe=keyframes.want,
            )
        self._clock = clock
        self._journal = journal
        self._make_spectator = make_spectator
        self._on_ended = on_ended
        self._record = record
        self._encoders = encoders
        self._keyframes = keyframes
        self._spectators: dict[str, Spectator] = {}
        self._closed: dict[str, float] = {}
        """When each peer closed, by `Spectator.resource`, oldest first, until the resource is deleted."""
        self._admitted = 0
        self._go("live", before=None)

    def __repr__(self) -> str:
        return f"<Broadcast {self.stream_id}, {'over' if self.is_over else 'live'}, {len(self._spectators)} spectators>"

    @property
    def webrtc_url(self) -> str:
        """The base URL of the WHEP endpoint."""
        return self.webrtc_url_at(self._base_url)

    @property
    def hls_url(self) -> str | None:
        """The URL of the playlist, including the token; None if HLS is disabled."""
        return self.hls_url_at(self._base_url)

    def webrtc_url_at(self, base_url: str) -> str:
        """Return the base URL of the WHEP endpoint for a client that reaches the server at `base_url`."""
        return base_url + self._path

    def hls_url_at(self, base_url: str) -> str | None:
        """Return the URL of the playlist for a client that reaches the server at `base_url`."""
        return (
            f"{self.webrtc_url_at(base_url)}/hls/index.m3u8?token={quote(self.token)}" if self.hls is not None else None
        )

    @property
    def spectators(self) -> Mapping[str, Spectator]:
        """The spectators that are connecting, connected or closing, by `Spectator.resource`."""
        return MappingProxyType(self._spectators)

    @property
    def audience_size(self) -> int:
        """The number of spectators that were not ended."""
        return sum(not each.is_leaving for each in self._spectators.values())

    @property
    def frames_encoded(self) -> Mapping[Codec, int]:
        """Number of frames encoded so far, by codec, for the host and all spectators together."""
        return self._encoders.frames

    def accepts(self, token: str) -> bool:
        """Return whether `token` is the spectator token."""
        return hmac.compare_digest(token.encode(errors="surrogatepass"), self.token.encode())

    def snapshot(self) -> dict[str, JSON]:
        """Return the broadcast as `GET /_mock/state` shows it."""
        return {
            "stream_id": self.stream_id,
            "session_id": self.session_id,
            "account": self.account_id,
            "over": self.is_over,
            "hls": self.hls is not None,
            "frames_encoded": {str(codec): frames for codec, frames in self.frames_encoded.items()},
            "spectators": [spectator.snapshot() for spectator in self._spectators.values()],
        }

    def admit(self, offer: str) -> Spectator:
        """Create a spectator from its SDP offer. The caller must await `Spectator.run`, then call `gone`.

        Raises:
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """
        self._admitted += 1
        spectator = self._make_spectator(
            self._record,
            offer,
            number=self._admitted,
            codecs=[codec for codec in _ORDER if codec in self.frames_encoded],
            on_connected=self._keyframes.want,
            on_closed=self._remember_closed,
            on_keyframe_wanted=self._keyframes.lost,
        )
        self._spectators[spectator.resource] = spectator
        return spectator

    def delete(self, resource: str) -> bool:
        """End the spectator with this `Spectator.resource`; return False if it is unknown or was ended already.

        For `DELETABLE_FOR` seconds after the client closed its peer, or the peer was lost, the first call still returns
        True.
        """
        spectator = self._spectators.get(resource)
        if spectator is not None and not spectator.is_leaving:
            spectator.leave("it was deleted")
            return True
        closed_at = self._closed.pop(resource, None)
        return closed_at is not None and self._clock.monotonic() - closed_at <= DELETABLE_FOR

    def _remember_closed(self, resource: str) -> None:
        self._closed[resource] = self._clock.monotonic()
        if len(self._closed) > _MOST_CLOSED:
            del self._closed[next(iter(self._closed))]

    def gone(self, spectator: Spectator) -> None:
        """Remove a spectator whose connection is closed."""
        self._spectators.pop(spectator.resource, None)

    # The methods of `FrameSink`, which the frame pump calls.

    @property
    def codecs(self) -> Collection[Codec]:
        """The codecs in which the spectators and HLS need the next frame."""
        wanted: set[Codec] = {"h264"} if self.hls is not None else set()
        return wanted.union(spectator.codec for spectator in self._connected() if spectator.codec is not None)

    def push(self, packets: Mapping[Codec, VideoPacket]) -> None:
        """Pass a frame, encoded in each codec, to HLS and to every connected spectator, without blocking."""
        if self.hls is not None and "h264" in packets:
            self.hls.push(packets["h264"])
        for spectator in self._connected():
            # A spectator that connected while the frame was made may need a codec that it was not encoded in.
            if spectator.codec is not None and spectator.codec in packets:
                spectator.track.push(packets[spectator.codec])

    def end(self) -> None:
        """End the broadcast and all its spectators. The stream's last frame must already be pushed."""
        if self.is_over:
            return
        self.is_over = True
        self._closed.clear()
        for spectator in self._spectators.values():
            spectator.end()
        self._go("over", before="live")
        self._on_ended(self)
        if self.hls is not None:
            self.hls.finish()

    def _connected(self) -> list[Spectator]:
        return [
            each for each in self._spectators.values() if each.state is SpectatorState.CONNECTED and not each.is_leaving
        ]

    def _go(self, state: str, *, before: str | None) -> None:
        self._journal.record(
            "state",
            "broadcast",
            {"from": before, "to": state},
            account=self.account_id,
            session=self.session_id,
            stream=self.stream_id,
        )
