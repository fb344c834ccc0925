"""A stream before its first frame: what the client asked for is judged, and all that it needs is made."""

import asyncio
from typing import TYPE_CHECKING

from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.media.data_url import ImageRefusedError, decode_data_url
from odyssey_mock.media.frame_encoder import FrameEncoder
from odyssey_mock.media.picture import PictureError, kept
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.frame_pump import StreamSource
from odyssey_mock.sessions.messages import Start

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend

ASKED_FOR = "the prompt asks for this error ([error:...])"
"""`message` of an error that a prompt brings about (`protocol.md` section 10)."""


class StartRefusedError(PicklableError):
    """A stream that is not started: `reason` and `message` of its `interactive_stream_error`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


async def prepared(
    backend: "Backend", message: Start, *, session_id: str, account_id: str, may_bypass: bool
) -> tuple[StreamRecord, StreamSource]:
    """Make the stream that `message` asks for, its first frame drawn; nothing of it is shown or remembered yet.

    Raises:
        StartRefusedError: the account or the streamer does not allow it, or its image cannot be used.
    """
    bypass = bool(message.bypass_vlm_expansion)
    if bypass and not may_bypass:
        raise StartRefusedError(
            "bypass_not_allowed",
            "bypass_vlm_expansion needs the expansion bypass privilege, which this account lacks; start without it",
        )
    loop = asyncio.get_running_loop()
    size = size_of(backend, portrait=message.portrait)
    image: bytes | None = None
    if message.input_image_base64 is not None:
        if not backend.settings.image_to_video:
            raise StartRefusedError(
                "image_to_video_not_supported",
                "this streamer's capabilities say image_to_video: false; start without an image",
            )
        try:
            image = await loop.run_in_executor(None, _image, backend, message.input_image_base64, size)
        except (ImageRefusedError, PictureError) as refusal:
            raise StartRefusedError("invalid_image", str(refusal)) from refusal
    applied = applied_prompt(message.prompt, bypass=bypass)
    timeline = Timeline(
        tag=backend.entropy.number(16), size=size, fps=backend.settings.fps, prompt=applied, image=image
    )
    footage = footage_of(backend, timeline)
    if not footage.is_instant:
        # Composing a scene takes tens of milliseconds: not on the loop, and not in the middle of the video either.
        await loop.run_in_executor(None, footage.prepare)
    record = StreamRecord(
        id=backend.entropy.uuid(),
        session_id=session_id,
        account_id=account_id,
        timeline=timeline,
        prompt=message.prompt,
        applied_prompt=applied,
        broadcast=message.broadcast,
        started_at=backend.clock.time(),
    )
    return record, StreamSource(timeline, footage)


def size_of(backend: "Backend", *, portrait: bool) -> Size:
    """The size of a stream of that orientation."""
    return Size(*(backend.settings.portrait_size if portrait else backend.settings.landscape_size))


def footage_of(backend: "Backend", timeline: Timeline) -> FrameEncoder:
    """Make what makes the packets of a timeline."""
    return backend.footage(timeline, backend.settings.bitrate)


def _image(backend: "Backend", url: str, size: Size) -> bytes:
    """The bytes of a start's image that are remembered; decodes it, which takes up to seconds."""
    return kept(decode_data_url(url, backend.settings.max_image_bytes), size)
