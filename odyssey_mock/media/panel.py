"""The caption of a scene: the stream, the current prompt, the stream's time and the frame number."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from odyssey_mock.media.canvas import Color, even, overlay, yuv
from odyssey_mock.media.fonts import font_set
from odyssey_mock.media.lettering import Digits, Lettering
from odyssey_mock.media.planes import Planes
from odyssey_mock.media.text_runs import is_right_to_left
from odyssey_mock.media.timeline import Moment, Timeline

_GROUND = (16, 19, 28, 216)
_FOOT = (16, 19, 28, 255)
_TEXT = (244, 246, 250, 255)
_DIM = (164, 172, 190, 255)
_WORDLESS = "(no prompt)"
_IDLE = "Waiting for a stream"
_INK = 222
"""Luma of the numbers."""

_FLASH = 18
"""Luma added to the panel when its prompt has just changed. Added to white (235), it must not exceed 255."""


class Panel:
    """The caption panel for one prompt. `paint` draws its static part once; `tick` draws the changing part per frame.

    Args:
        timeline: timeline of the stream.
        moment: the state of the timeline at a frame that shows the prompt; all such frames give the same panel.
        accent: color of the label and of the mark that moves along the panel.
    """

    def __init__(self, timeline: Timeline, moment: Moment, accent: Color) -> None:
        size, scale = timeline.size, timeline.size.scale
        self._fps = timeline.fps
        self._accent = tuple(round(float(level)) for level in yuv(accent))
        margin, pad = even(24 * scale), even(22 * scale)
        fonts = font_set(timeline.look.fonts)
        small, large = (Lettering(max(least, round(size * scale)), fonts) for least, size in ((9, 19), (11, 31)))
        self.width = min(size.width - 2 * margin, even(720 * scale))
        inner = self.width - 2 * pad
        self._digits = _digits(max(10, round(24 * scale)))
        prompt = large.readable(moment.prompt)
        label_height, line_height = round(small.height * 1.3), large.line_height(prompt)
        foot_height = self._digits.height + even(14 * scale)
        aside = _aside(moment, small)
        fixed = 2 * pad + label_height + foot_height + (label_height if aside else 0)
        room = max(1, min(4, int((0.42 * size.height - fixed) / line_height)))
        lines = large.wrap(prompt, inner, room)
        self.height = even(fixed + line_height * max(1, len(lines)))
        self.left, self.top = margin, size.height - margin - self.height
        self._foot = self.height - foot_height
        self._scale = scale
        self._pad = pad

        image = Image.new("RGBA", (self.width, self.height), (0, 0, 0, 0))
        draw = ImageDraw.Draw(image)
        radius = 18 * scale
        draw.rounded_rectangle((0, 0, self.width - 1, self.height - 1), radius, fill=_FOOT)
        draw.rounded_rectangle((0, 0, self.width - 1, self._foot + radius), radius, fill=_GROUND)
        draw.rectangle((0, self._foot, self.width - 1, self.height - radius), fill=_FOOT)
        red, green, blue = (round(channel) for channel in accent)
        label = small.ellipsised(_label(timeline, moment), inner)
        small.draw(image, pad, pad, label, (red, green, blue, 255))
        y = pad + label_height
        right = self.width - pad if is_right_to_left(prompt) else None
        for line in lines or [_WORDLESS if timeline.tag is not None else _IDLE]:
            large.draw(image, pad, y, line, _TEXT if lines else _DIM, right=right)
            y += line_height
        if aside:
            small.draw(image, pad, y + 4 * scale, small.ellipsised(aside, inner), _DIM)
        self._image = image
        self._inside = (np.asarray(image)[: self._foot, :, 3] >= _GROUND[3]).astype(np.uint8)

    def paint(self, planes: Planes) -> None:
        """Paint the static part of the panel on the planes of its scene."""
        overlay(planes, self._image, self.left, self.top)

    def restore(self, planes: Planes, base: Planes) -> None:
        """Copy the static panel from `base` to `planes`, to cover moving parts that were drawn over it."""
        for plane, source, step in zip(planes, base, (1, 2, 2), strict=True):
            box = (
                slice(self.top // step, (self.top + self.height) // step),
                slice(self.left // step, (self.left + self.width) // step),
            )
            plane[box] = source[box]

    def tick(self, planes: Planes, index: int, flash: float) -> None:
        """Draw the time, the frame number and the moving mark; `flash` (0 to 1) brightens the panel."""
        self._mark(planes, index)
        top = self.top + self._foot + (self.height - self._foot - self._digits.height) // 2
        milliseconds = index * 1000 // self._fps
        time = f"{milliseconds // 60_000:02}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}"
        self._digits.draw(planes.y, self.left + self._pad, top, time)
        number = f"#{index}"
        right = self.left + self.width - self._pad
        if right - self._digits.width(number) > self.left + self._pad + self._digits.width(time):
            self._digits.draw(planes.y, right - self._digits.width(number), top, number)
        if flash > 0:
            lit = self._inside * np.uint8(round(_FLASH * flash))
            planes.y[self.top : self.top + self._foot, self.left : self.left + self.width] += lit

    def _mark(self, planes: Planes, index: int) -> None:
        """Draw a short line above the time and frame number. Every four seconds, it crosses the panel once."""
        length, thick = even(84 * self._scale), even(4 * self._scale)
        turn = 4 * self._fps
        left = self.left + (self.width - length) * (index % turn) // turn
        top = (self.top + self._foot) // 2 * 2
        for plane, level, step in zip(planes, self._accent, (1, 2, 2), strict=True):
            plane[top // step : (top + thick) // step, left // step : (left + length) // step] = level


@lru_cache(maxsize=8)
def _digits(size: int) -> Digits:
    """Return the digits of this size, which all panels share: rendering them takes 2 ms."""
    return Digits(size, ground=round(float(yuv(_FOOT[:3])[0])), ink=_INK)


def _label(timeline: Timeline, moment: Moment) -> str:
    if timeline.tag is None:
        return "IDLE"
    start = "START FROM IMAGE" if timeline.image is not None else "START"
    return f"STREAM {timeline.tag:04X} · {f'INTERACTION {moment.revision}' if moment.revision else start}"


def _aside(moment: Moment, lettering: Lettering) -> str:
    """Return a line with the first prompt if an interaction has replaced it, otherwise an empty string."""
    start = lettering.readable(moment.changes[0].prompt) if moment.revision else ""
    return f"began with: {start}" if start else ""
