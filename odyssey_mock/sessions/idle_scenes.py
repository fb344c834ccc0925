"""The idle scenes that sessions without a stream share: each frame is drawn and encoded once for all of them.

A session first encodes an idle scene of its own, so that its client gets a key frame at once. It enters a shared scene
with the scene's next key frame. If no session shares one, it begins one when its own next key frame is due. It leaves
the scene when it needs a frame of its own: a key frame that the client requests, or a frame that a fault changes.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from odyssey_mock.media.keyframes import GROUP_SECONDS
from odyssey_mock.media.look import Look
from odyssey_mock.media.timeline import Size, Timeline

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec, VideoPacket
    from odyssey_mock.media.frame_encoder import FrameEncoder, MakeFrameEncoder

_KEPT = 8
"""Number of frames that a scene keeps for members that are late. A member that is later leaves the scene."""


class SceneMember:
    """One session in a shared scene. The caller must call `leave`.

    Attributes:
        origin: when slot 0 began, in seconds of the event loop's time. If all members begin their slots at the same
            time, the event loop wakes up once for all of them.
    """

    def __init__(self, scene: _Scene, slot: int, origin: float, on_left: Callable[[], object]) -> None:
        self.origin = origin
        self._scene = scene
        self._taken = slot - 1
        self._on_left = on_left

    async def packets(self, slot: int, *, is_early: bool = False) -> Sequence[VideoPacket] | None:
        """Return the packets up to `slot` that the member has not taken yet, or None if it has missed frames.

        The frame of `slot` is made if no other member has asked for it. There is usually one packet, and none if
        another member has skipped the slot.

        `is_early`: whether to make a frame that takes little time on the event loop instead of in a thread.
        """
        frames = await self._scene.frames(self._taken, slot, is_early=is_early)
        self._taken = slot
        return frames

    def leave(self) -> None:
        """Leave the scene; call this once."""
        self._scene.members -= 1
        if not self._scene.members:
            self._on_left()
            self._scene.close()


class IdleScenes:
    """The shared idle scenes of one server: one for each size, frame rate, look, bitrate and codec in use.

    Args:
        make_frame_encoder: creates the encoder of a scene.
        now: returns the time for the stamps, in seconds since the epoch.
    """

    def __init__(self, make_frame_encoder: MakeFrameEncoder, now: Callable[[], float]) -> None:
        self._make_frame_encoder = make_frame_encoder
        self._now = now
        self._scenes: dict[_Kind, _Scene] = {}
        self._origin: float | None = None

    def slot(self, fps: int) -> int:
        """Return the number of the current period of 1/fps seconds, counted from the first call.

        Pumps that count from the same time have the same frame indexes and RTP timestamps as the scenes.
        """
        origin = self._begin()
        return math.floor((asyncio.get_running_loop().time() - origin) * fps)

    def enter(
        self, timeline: Timeline, bitrate: int | None, codec: Codec, slot: int, *, begin: bool
    ) -> SceneMember | None:
        """Enter the scene that `timeline` shows, from `slot` on; return None if this frame will be no key frame.

        If no session is in the scene, the result is None unless `begin` is true.
        """
        kind = _Kind(timeline.size, timeline.fps, timeline.look, bitrate, codec)
        scene = self._scenes.get(kind)
        if scene is None and not begin:
            return None
        if scene is None:
            encoder = self._make_frame_encoder(
                Timeline(tag=None, size=kind.size, fps=kind.fps, look=kind.look), bitrate
            )
            scene = self._scenes[kind] = _Scene(encoder, kind, self._now)
        elif not scene.has_key_frame(slot):
            return None
        scene.members += 1
        return SceneMember(scene, slot, self._begin(), partial(self._scenes.pop, kind))

    def _begin(self) -> float:
        """Return when slot 0 began."""
        if self._origin is None:
            self._origin = asyncio.get_running_loop().time()
        return self._origin


@dataclass(frozen=True, slots=True)
class _Kind:
    size: Size
    fps: int
    look: Look
    bitrate: int | None
    codec: Codec


@dataclass(frozen=True, slots=True)
class _Frame:
    packet: VideoPacket
    slot: int
    previous: int
    """The slot of the frame that a decoder needs before this one; that of this frame for a key frame."""


class _Scene:
    """One shared scene, whose frames are made when the first member asks for them."""

    def __init__(self, encoder: FrameEncoder, kind: _Kind, now: Callable[[], float]) -> None:
        self.members = 0
        self._encoder = encoder
        self._codec = kind.codec
        self._group = max(1, round(kind.fps * GROUP_SECONDS))
        self._now = now
        self._frames: deque[_Frame] = deque(maxlen=_KEPT)
        self._latest = self._key = -self._group
        """The slots of the latest frame and the latest key frame, from the time at which they begin to be made."""
        self._making: asyncio.Future[VideoPacket] | None = None

    def has_key_frame(self, slot: int) -> bool:
        """Return whether the frame of `slot` is or will be a key frame."""
        return slot == self._key if slot <= self._latest else slot - self._key >= self._group

    async def frames(self, after: int, slot: int, *, is_early: bool) -> Sequence[VideoPacket] | None:
        """Return the frames of the slots after `after` up to `slot`; None if a decoder misses a frame before them."""
        if is_early and self._latest < slot and self._making is None and self._encoder.is_quick(slot, {self._codec}):
            is_key, previous = self._begin(slot)
            try:
                self._frames.append(_Frame(self._encode(slot, is_key), slot, previous))
            except Exception:
                return None  # as below
        while self._latest < slot or self._making is not None:
            making = self._making or self._make(slot)
            await asyncio.wait([making])
            if making.exception() is not None:
                return None  # the member then encodes alone, and has the error to itself if there is one
        following = next((frame for frame in self._frames if frame.slot > after), None)
        if following is not None and after < following.previous < following.slot:
            return None
        return [frame.packet for frame in self._frames if after < frame.slot <= slot]

    def close(self) -> None:
        """Free the encoder, as soon as the frame that is being made is done. No member may be left."""
        if self._making is None:
            self._encoder.close()

    def _begin(self, slot: int) -> tuple[bool, int]:
        """Begin to make the frame of `slot`; return whether it is a key frame, and its `_Frame.previous`."""
        is_key = self.has_key_frame(slot)
        previous, self._latest = slot if is_key else self._latest, slot
        if is_key:
            self._key = slot
        return is_key, previous

    def _make(self, slot: int) -> asyncio.Future[VideoPacket]:
        """Begin to make the frame of `slot`. The future stays valid if the member that asked for it is cancelled."""
        is_key, previous = self._begin(slot)
        making = asyncio.get_running_loop().run_in_executor(None, self._encode, slot, is_key)
        self._making = making
        making.add_done_callback(lambda made: self._made(made, slot, previous))
        return making

    def _made(self, made: asyncio.Future[VideoPacket], slot: int, previous: int) -> None:
        self._making = None
        if made.exception() is None:
            self._frames.append(_Frame(made.result(), slot, previous))
        if not self.members:
            self._encoder.close()

    def _encode(self, slot: int, is_key: bool) -> VideoPacket:
        from odyssey_mock.media.stamp import FrameStamp  # noqa: PLC0415 - see `odyssey_mock.media`

        stamp = FrameStamp(stream_tag=None, frame_index=slot, prompt_revision=None, sent_at_ms=int(self._now() * 1000))
        return self._encoder.make(stamp, slot, {self._codec}, keyframe=is_key).packets[self._codec]
