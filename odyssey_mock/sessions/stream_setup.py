"""Preparation of a stream before its first frame: checks the start message and makes timeline, encoder and record."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from odyssey_mock import latency
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.faults.registry import Faults
from odyssey_mock.media.data_url import ImageRefusedError, decode_data_url
from odyssey_mock.media.look import look_of
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.frame_pump import StreamSource
from odyssey_mock.sessions.idle_scenes import IdleScenes
from odyssey_mock.sessions.messages import InteractiveStreamError, Start
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.settings import Settings, StartImageFit

if TYPE_CHECKING:
    from odyssey_mock.media.frame_encoder import MakeFrameEncoder

BYPASS_NOT_ALLOWED = InteractiveStreamError(
    "bypass_not_allowed",
    "bypass_vlm_expansion needs the expansion bypass privilege, which this account lacks; start without it",
)
NO_IMAGES = InteractiveStreamError(
    "image_to_video_not_supported",
    "this streamer has image_to_video: false in its capabilities; start without an image",
)


class StartRefusedError(PicklableError):
    """The stream cannot be started; `reply` is the message for the client, `why` the cause for the journal."""

    def __init__(self, reply: InteractiveStreamError, why: str) -> None:
        super().__init__(f"{reply.reason}: {reply.message}")
        self.reply = reply
        self.why = why


class StreamSetup:
    """Creates the `StreamSource` objects of one server, which frame pumps show."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        faults: Faults,
        make_frame_encoder: MakeFrameEncoder,
        frame_turns: asyncio.Semaphore,
        idle_scenes: IdleScenes,
    ) -> None:
        """Create a setup; `frame_turns` and `idle_scenes` are shared by all frame pumps of the server."""
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._faults = faults
        self._make_frame_encoder = make_frame_encoder
        self.frame_turns = frame_turns
        self.idle_scenes = idle_scenes

    def idle(self, identity: SessionIdentity, *, portrait: bool = True) -> StreamSource:
        """Return the source of the idle scene, which a session shows while no stream is running."""
        timeline = Timeline(tag=None, size=self._size(portrait), fps=self._settings.fps, look=look_of(self._settings))
        encoder = self._make_frame_encoder(timeline, self._settings.bitrate)
        source = StreamSource(timeline, encoder, frame_fault=partial(self._faults.fire, "peer.frame", **identity.where))
        if not encoder.is_instant:
            source.enter_scene = partial(self.idle_scenes.enter, timeline, self._settings.bitrate)
        return source

    async def prepare(self, message: Start, identity: SessionIdentity) -> tuple[StreamRecord, StreamSource]:
        """Create the stream that `message` requests, and prepare its encoder. The caller stores and shows the stream.

        Raises:
            StartRefusedError: the account or the streamer does not allow the stream, or its image is invalid.
        """
        bypass = bool(message.bypass_vlm_expansion)
        if bypass and not identity.may_bypass:
            why = (
                "the client sent bypass_vlm_expansion, and its account lacks the privilege (setting `bypass_privilege`)"
            )
            raise StartRefusedError(BYPASS_NOT_ALLOWED, why)
        loop = asyncio.get_running_loop()
        size = self._size(message.portrait)
        image: bytes | None = None
        image_fit = self._settings.start_image_fit
        if message.input_image_base64 is not None:
            if not self._settings.image_to_video:
                raise StartRefusedError(
                    NO_IMAGES, "the client sent an image, and the setting `image_to_video` is False"
                )
            try:
                image, image_fit = await loop.run_in_executor(None, self._image, message.input_image_base64, size)
            except ImageRefusedError as refusal:
                limit = f"setting `max_image_bytes`: {self._settings.max_image_bytes}"
                why = f"the image of the start message cannot be used ({limit}): {refusal}"
                raise StartRefusedError(InteractiveStreamError("invalid_image", str(refusal)), why) from refusal
        applied = applied_prompt(message.prompt, bypass=bypass)
        timeline = Timeline(
            tag=self._entropy.number(16),
            size=size,
            fps=self._settings.fps,
            prompt=applied,
            image=image,
            image_fit=image_fit,
            look=look_of(self._settings),
        )
        encoder = self._make_frame_encoder(timeline, self._settings.bitrate)
        if not encoder.is_instant:
            # Composing a scene takes tens of milliseconds: do it in a thread, and before the pump needs a frame.
            await loop.run_in_executor(None, encoder.prepare, timeline.at(0))
        record = StreamRecord(
            id=self._entropy.uuid(),
            session_id=identity.id,
            account_id=identity.account_id,
            timeline=timeline,
            prompt=message.prompt,
            applied_prompt=applied,
            broadcast=message.broadcast,
            started_at=self._clock.time(),
            began=self._clock.monotonic(),
            recording_delay=latency.seconds(self._settings.latency, "recording"),
        )
        frame_fault = partial(self._faults.fire, "peer.frame", **identity.where, stream=record.id, prompt=record.prompt)
        return record, StreamSource(timeline, encoder, frame_fault=frame_fault)

    def _size(self, portrait: bool) -> Size:
        return Size(*(self._settings.portrait_size if portrait else self._settings.landscape_size))

    def _image(self, url: str, size: Size) -> tuple[bytes, StartImageFit]:
        """Decode the image of a start message; return the image file for the timeline, and how it fills the frame.

        May take several seconds.

        Raises:
            ImageRefusedError: the URL or its image cannot be decoded.
        """
        from odyssey_mock.media.picture import PictureError, kept  # noqa: PLC0415 - see `odyssey_mock.media`

        data = decode_data_url(url, self._settings.max_image_bytes)
        try:
            return kept(data, size, self._settings.start_image_fit)
        except PictureError as error:
            raise ImageRefusedError(str(error)) from error
