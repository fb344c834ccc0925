"""Rendering of a timeline's frames: a moving scene, chosen by the prompts or the start image, with a caption.

The static part of a scene is painted once for each prompt. Each frame copies the static part, and draws the moving
parts on top. The pixels depend only on the timeline and the index, so a frame is the same in every process. Prompts in
fonts of the machine (`Look.fonts`) are an exception: they may differ between machines.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import av
from PIL import Image

from odyssey_mock.media.backdrop import paint
from odyssey_mock.media.canvas import Canvas
from odyssey_mock.media.guests import MOST_GUESTS, Guest, guest
from odyssey_mock.media.look import Look
from odyssey_mock.media.motion import Mover, movers
from odyssey_mock.media.palette import Scenery, scenery
from odyssey_mock.media.panel import Panel
from odyssey_mock.media.picture import fitted
from odyssey_mock.media.planes import WHITE, Planes, planes_of
from odyssey_mock.media.sprites import ring
from odyssey_mock.media.timeline import Moment, Size, Timeline

IDLE_PROMPT = "A calm sea under a clear night sky"
"""The prompt from which the idle scene is drawn."""

_WIPE_SECONDS = 0.6
_FLASH_SECONDS = 1.2
_RIPPLE_SECONDS = 5.0
_KEPT = 3
"""Number of cached `_Base` objects: for the current scene, for the previous scene, and for an earlier frame."""


_LANDSCAPES = 8
"""Number of painted landscapes kept in the process, 1.4 MB each at 704x1280."""


@dataclass(frozen=True, slots=True)
class _Background:
    """The static part of a scene without its caption, and the parts that move in front of it."""

    planes: Planes
    movers: tuple[Mover, ...]


@dataclass(frozen=True, slots=True)
class _Base:
    """The parts of a scene that all frames with one prompt share: the static part and the moving objects."""

    planes: Planes
    panel: Panel | None
    """The caption; None if the look of the stream has none."""
    movers: tuple[Mover, ...]
    guests: tuple[Guest, ...]


class Renderer:
    """Renders the frames of one timeline, in any order. Not thread-safe: use it from one thread at a time.

    The first frame of each prompt takes tens of milliseconds, other frames about two.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._picture: Image.Image | None = None
        self._pictured: tuple[Scenery, _Background] | None = None
        """The latest background with the start image, and its scenery."""
        self._bases: dict[int, _Base] = {}
        self._guests: dict[int, Guest] = {}

    @property
    def has_stamp(self) -> bool:
        """Whether the frames are to carry a stamp, which the caller draws."""
        return self._timeline.look.has_stamp

    @property
    def is_synthetic(self) -> bool:
        """Whether the frames have no start image. Images full of detail take a multiple of the time to encode."""
        return self._timeline.image is None

    def has_painted(self, index: int) -> bool:
        """Return whether the static part of frame `index` is painted, so that rendering it takes little time."""
        return self._timeline.at(index).revision in self._bases

    def paint(self, moment: Moment) -> None:
        """Paint the static part of all frames with the prompts of `moment`, so that rendering them takes little time.

        Raises:
            PictureError: the timeline's start image cannot be decoded.
        """
        self._base(moment)

    def render(self, index: int) -> av.VideoFrame:
        """Return frame `index`: a new yuv420p frame (ITU-R BT.601, limited range) without a stamp.

        Raises:
            TimelineError: the timeline has no such frame.
            PictureError: the timeline's start image cannot be decoded.
        """
        timeline = self._timeline
        moment = timeline.at(index)
        base = self._base(moment)
        frame = av.VideoFrame(timeline.size.width, timeline.size.height, "yuv420p")
        planes = planes_of(frame)
        since = (index - moment.changed_at + 1) / timeline.fps
        edge = self._copy(planes, base, moment, since)
        seconds = index / timeline.fps
        for mover in (*base.movers, *base.guests):
            mover.draw(planes, seconds)
        if edge is not None:
            planes.y[edge : edge + max(2, round(5 * timeline.size.scale))] = WHITE
        flash = max(0.0, 1 - since / _FLASH_SECONDS) if moment.revision else 0.0
        if flash and base.guests:
            self._ripple(planes, base.guests[-1].at(seconds), 1 - flash, flash)
        if timeline.tag is None:
            self._calm(planes, seconds)
        if base.panel is not None:
            base.panel.restore(planes, base.planes)
            base.panel.tick(planes, index, flash)
        return frame

    def _copy(self, planes: Planes, base: _Base, moment: Moment, since: float) -> int | None:
        """Copy the static part of the scene to `planes`; return the y of the transition line, or None.

        For `_WIPE_SECONDS` after an interaction, this line moves down. Above it is the new scene, below it the previous
        scene. Otherwise only the new scene is shown, and the result is None.
        """
        share = since / _WIPE_SECONDS
        shown_before = tuple(change for change in moment.changes if change.index < moment.changed_at)
        if share >= 1 or not shown_before:
            for plane, source in zip(planes, base.planes, strict=True):
                plane[:] = source
            return None
        former = self._base(Moment(index=moment.changed_at - 1, changes=shown_before))
        edge = int(share * (2 - share) * self._timeline.size.height) // 2 * 2
        for plane, source, gone, step in zip(planes, base.planes, former.planes, (1, 2, 2), strict=True):
            plane[: edge // step] = source[: edge // step]
            plane[edge // step :] = gone[edge // step :]
        return edge

    def _ripple(self, planes: Planes, middle: tuple[float, float], progress: float, strength: float) -> None:
        scale = self._timeline.size.scale
        x, y = middle
        ring(planes.y, x, y, (60 + 110 * progress) * scale, max(1.5, 7 * scale), 0.9 * strength)

    def _calm(self, planes: Planes, seconds: float) -> None:
        """Draw two slow rings in the middle of the idle scene, to show that the video is running."""
        size = self._timeline.size
        for phase in (0.0, 0.5):
            share = (seconds / _RIPPLE_SECONDS + phase) % 1
            radius = (14 + 120 * share) * size.scale
            strength = 0.5 * (1 - share) ** 1.5
            ring(planes.y, size.width / 2, 0.36 * size.height, radius, max(1.5, 5 * size.scale), strength)

    def _base(self, moment: Moment) -> _Base:
        if self._timeline.tag is None:
            self._bases[0] = _idle_base(self._timeline.size, self._timeline.fps, self._timeline.look)
            return self._bases[0]
        base = self._bases.get(moment.revision)
        if base is None:
            base = self._bases[moment.revision] = self._painted(moment)
            while len(self._bases) > _KEPT:
                del self._bases[next(iter(self._bases))]
        return base

    def _painted(self, moment: Moment) -> _Base:
        shown = self._scenery(moment)
        background = self._background(shown)
        planes = Planes(*(plane.copy() for plane in background.planes))
        panel = Panel(self._timeline, moment, shown.accent) if self._timeline.look.has_panel else None
        if panel is not None:
            panel.paint(planes)
        return _Base(planes=planes, panel=panel, movers=background.movers, guests=self._invited(moment))

    def _background(self, shown: Scenery) -> _Background:
        timeline = self._timeline
        # The color of details changes with each interaction, but shows in few backgrounds.
        shown = shown if shown.land == "space" else replace(shown, accent=(0, 0, 0))
        if timeline.image is None:
            return _landscape(shown, timeline.size)
        if self._pictured is None or self._pictured[0] != shown:
            if self._picture is None:
                self._picture = fitted(timeline.image, timeline.size, timeline.image_fit)
            self._pictured = shown, _painted(shown, timeline.size, self._picture)
        return self._pictured[1]

    def _invited(self, moment: Moment) -> tuple[Guest, ...]:
        """Return the guests (balloons or lanterns) that the latest interactions added, at most `MOST_GUESTS`.

        Guests that the previous call returned are reused.
        """
        invited = {
            change.revision: self._guests.get(change.revision)
            or guest(
                self._scenery(Moment(index=change.index, changes=moment.changes[: change.revision + 1])),
                self._timeline.size,
                change.revision,
            )
            for change in moment.changes[1:][-MOST_GUESTS:]
        }
        self._guests = invited
        return tuple(invited.values())

    def _scenery(self, moment: Moment) -> Scenery:
        if self._timeline.tag is None:
            return scenery((IDLE_PROMPT,))
        return scenery(tuple(change.prompt for change in moment.changes))


def _painted(shown: Scenery, size: Size, picture: Image.Image | None) -> _Background:
    canvas = Canvas(size)
    paint(canvas, shown, picture)
    return _Background(canvas.freeze(), tuple(movers(shown, size, pictured=picture is not None)))


@lru_cache(maxsize=_LANDSCAPES)
def _landscape(shown: Scenery, size: Size) -> _Background:
    """Return the background of a stream without a start image. Streams with the same first prompt often share it."""
    return _painted(shown, size, None)


@lru_cache(maxsize=8)
def _idle_base(size: Size, fps: int, look: Look) -> _Base:
    """Return the static and moving parts of the idle scene. All new connections show it, so it is painted once."""
    timeline = Timeline(tag=None, size=size, fps=fps, look=look)
    return Renderer(timeline)._painted(timeline.at(0))  # noqa: SLF001 - same module
