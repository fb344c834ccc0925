"""The session that `odyssey-mock demo` runs: a live stream from start to end, saved as files.

The demo starts the mock, connects a client over real HTTP, WebSocket and WebRTC, starts a stream, interacts twice, and
ends the stream. It writes a video, a contact sheet with the frames of each interaction, and the mock's journal.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from odyssey_client import MediaStream, Odyssey, VideoFrame
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.server import MockOdyssey

START = "A lighthouse on a cliff above the sea, at sunset"
INTERACTIONS = ("A storm rolls in and night falls", "The clouds part and a full moon rises over snow")
PAUSE = 2.0
"""Seconds of video between two prompts."""
BEFORE, AFTER = 3, 4
"""How many frames the contact sheet shows before and after the first frame that shows an interaction."""
LIMIT = 30.0
"""Timeout of the demo in seconds; it takes less than 15."""

_THUMB = 200
_MARGIN, _CAPTION = 12, 46


@dataclass(slots=True)
class Sighting:
    """A received frame and its decoded stamp."""

    frame: VideoFrame
    stamp: FrameStamp


@dataclass(slots=True)
class Watcher:
    """Reads every frame of the stream, counts received and missing frames, and keeps frames for the contact sheet.

    Attributes:
        around: for each interaction, the frames just before and after its effect, oldest first.
    """

    seen: int = 0
    missing: int = 0
    around: list[list[Sighting]] = field(default_factory=list)
    _recent: deque[Sighting] = field(default_factory=lambda: deque(maxlen=BEFORE))
    _last: FrameStamp | None = None

    async def watch(self, stream: MediaStream) -> None:
        """Read frames until the video ends."""
        async for frame in stream.frames(buffer=64):
            stamp = read_stamp(frame.luma)
            if stamp is not None and stamp.stream_tag is not None:
                self._look(Sighting(frame, stamp))

    def _look(self, sighting: Sighting) -> None:
        stamp, last = sighting.stamp, self._last
        self.seen += 1
        if last is not None:
            self.missing += max(0, stamp.frame_index - last.frame_index - 1)
            if stamp.prompt_revision != last.prompt_revision:
                self.around.append([*self._recent, sighting])
            elif self.around and len(self.around[-1]) < BEFORE + AFTER + 1:
                self.around[-1].append(sighting)
        self._recent.append(sighting)
        self._last = stamp


async def run(directory: Path, say: Callable[[str], None] = print) -> None:
    """Run the demo and write `stream.mp4`, `contact-sheet.png` and `journal.jsonl` to `directory`, which must exist.

    `say` is called with each line of progress.
    """
    video, pictures, journal = (directory / name for name in ("stream.mp4", "contact-sheet.png", "journal.jsonl"))
    async with asyncio.timeout(LIMIT), MockOdyssey() as mock:
        say(f"mock      {mock.url}")
        watcher = Watcher()
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            await _stream(client, watcher, video, say)
        journal.write_text(mock.journal.to_jsonl(), encoding="utf-8")
        say(f"journal   {len(mock.journal.entries)} entries")
    sheet = await asyncio.to_thread(contact_sheet, watcher.around)
    await asyncio.to_thread(sheet.save, pictures)
    say(f"frames    {watcher.seen} received, {watcher.missing} missing")
    for path in (video, pictures, journal):
        say(f"wrote     {path} ({path.stat().st_size / 1024:,.0f} KiB)")


async def _stream(client: Odyssey, watcher: Watcher, video: Path, say: Callable[[str], None]) -> None:
    began = time.perf_counter()
    stream = await client.connect(on_status_change=lambda status: say(f"status    {status}"))
    say(f"connected in {(time.perf_counter() - began) * 1000:.0f} ms, session {client.current_session_id}")
    async with asyncio.TaskGroup() as tasks, stream.record(video):
        watching = tasks.create_task(watcher.watch(stream))
        stream_id = await client.start_stream(START)
        say(f"started   stream {stream_id}")
        say(f"          {client.last_applied_prompt}")
        for prompt in INTERACTIONS:
            await _frames_pass(stream, PAUSE)
            say(f"interact  {await client.interact(prompt)}")
        await _frames_pass(stream, PAUSE)
        await client.end_stream()
        say("ended")
        watching.cancel()


async def _frames_pass(stream: MediaStream, seconds: float) -> None:
    """Wait until `seconds` of video have been received."""
    first: float | None = None
    async for frame in stream.frames(buffer=1):
        first = frame.timestamp_ms if first is None else first
        if frame.timestamp_ms - first >= seconds * 1000:
            return


def contact_sheet(rows: list[list[Sighting]]) -> Image.Image:
    """Draw the frames of each interaction in one row, in order, each frame with the values of its stamp."""
    font = ImageFont.load_default(13)
    thumbs = [[Image.fromarray(each.frame.data).resize(_thumb_size(each.frame)) for each in row] for row in rows]
    width = max((len(row) for row in rows), default=1) * (_THUMB + _MARGIN) + _MARGIN
    heights = [max(thumb.height for thumb in row) + _CAPTION + _MARGIN for row in thumbs]
    sheet = Image.new("RGB", (width, sum(heights) + _MARGIN), (24, 26, 32))
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for row, images, height in zip(rows, thumbs, heights, strict=True):
        for column, (each, image) in enumerate(zip(row, images, strict=True)):
            left = _MARGIN + column * (_THUMB + _MARGIN)
            sheet.paste(image, (left, top))
            stamp = each.stamp
            caption = f"frame {stamp.frame_index}   revision {stamp.prompt_revision}\nstream tag {stamp.stream_tag:04x}"
            changed = column == BEFORE
            draw.text((left, top + image.height + 5), caption, (255, 205, 90) if changed else (190, 195, 205), font)
        top += height
    return sheet


def _thumb_size(frame: VideoFrame) -> tuple[int, int]:
    return _THUMB, round(_THUMB * frame.height / frame.width)
