"""Guests of a scene: each interaction adds a balloon to the sky, or a lantern at night and in space."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from odyssey_mock.media.canvas import Color, even, mix
from odyssey_mock.media.hash_noise import fraction, fractions
from odyssey_mock.media.palette import Scenery
from odyssey_mock.media.planes import Planes
from odyssey_mock.media.sprites import Sprite
from odyssey_mock.media.timeline import Size

MOST_GUESTS = 6
"""Maximum number of guests in a scene; a further guest replaces the oldest."""

_FINE = 4
"""Guests are painted at this multiple of their size, then scaled down, which softens their edges."""


class Guest:
    """A balloon or lantern that was added by an interaction; it sways around a fixed point in the sky."""

    def __init__(self, size: Size, place: tuple[float, float], color: Color, *, lantern: bool, phase: float) -> None:
        self._scale = size.scale
        self._sprite = Sprite((_lantern if lantern else _balloon)(self._scale, color))
        self._x, self._y = place[0] * size.width, place[1] * size.height
        self._phase = phase

    def at(self, seconds: float) -> tuple[float, float]:
        """Return the position of the guest's center in pixels, `seconds` after the stream's start."""
        angle = 2 * np.pi * (self._phase + seconds / 6)
        return self._x + 22 * self._scale * float(np.sin(angle / 2)), self._y + 12 * self._scale * float(np.sin(angle))

    def draw(self, planes: Planes, seconds: float) -> None:
        """Draw the guest at its position `seconds` after the stream's start."""
        x, y = self.at(seconds)
        self._sprite.draw(planes, round(x - self._sprite.width / 2), round(y - self._sprite.height / 2))


def guest(scenery: Scenery, size: Size, revision: int) -> Guest:
    """Return the guest that the interaction with the number `revision` adds."""
    across, down, phase = (float(n) for n in fractions("guest", scenery.seed, revision, count=3))
    slot = (revision * 2 + int(fraction("slot", scenery.seed) * MOST_GUESTS)) % MOST_GUESTS
    x = (slot + 0.5 + 0.5 * (across - 0.5)) / MOST_GUESTS
    place = 0.1 + 0.8 * x, 0.14 + 0.26 * ((slot * 5 % MOST_GUESTS) / MOST_GUESTS) + 0.06 * down
    lantern = scenery.hour == "night" or scenery.land == "space"
    return Guest(size, place, scenery.accent, lantern=lantern, phase=phase)


def _balloon(scale: float, color: Color) -> Image.Image:
    width, height = _FINE * even(84 * scale), _FINE * even(116 * scale)
    hull = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(hull)
    draw.ellipse((0, 0, width - 1, 0.7 * height), fill=255)
    draw.polygon(
        [
            (0.1 * width, 0.5 * height),
            (0.9 * width, 0.5 * height),
            (0.6 * width, 0.8 * height),
            (0.4 * width, 0.8 * height),
        ],
        fill=255,
    )
    image = Image.new("RGBA", (width, height), _rgba(color, 0))
    stripes = Image.new("RGBA", (width, height), _rgba(color))
    paint = ImageDraw.Draw(stripes)
    for reach, shade in ((0.36, mix(color, (255, 255, 255), 0.72)), (0.14, color)):
        paint.ellipse(((0.5 - reach) * width, -0.2 * height, (0.5 + reach) * width, 1.02 * height), fill=_rgba(shade))
    image.paste(stripes, (0, 0), hull)
    basket = ImageDraw.Draw(image)
    for side in (0.42, 0.58):
        basket.line([(side * width, 0.78 * height), (side * width, 0.88 * height)], fill=(70, 54, 44, 255), width=_FINE)
    basket.rounded_rectangle(
        (0.38 * width, 0.87 * height, 0.62 * width, 0.99 * height), 0.03 * width, fill=(112, 78, 52, 255)
    )
    return image.reduce(_FINE)


def _lantern(scale: float, color: Color) -> Image.Image:
    width, height = _FINE * even(110 * scale), _FINE * even(128 * scale)
    warm = mix(color, (255, 206, 120), 0.5)
    alpha = Image.new("L", (width, height), 0)
    ImageDraw.Draw(alpha).ellipse((0.14 * width, 0.14 * height, 0.86 * width, 0.86 * height), fill=150)
    alpha = alpha.filter(ImageFilter.GaussianBlur(0.11 * width))
    body = [
        (0.34 * width, 0.3 * height),
        (0.66 * width, 0.3 * height),
        (0.72 * width, 0.66 * height),
        (0.28 * width, 0.66 * height),
    ]
    ImageDraw.Draw(alpha).polygon(body, fill=255)
    image = Image.new("RGBA", (width, height), _rgba(warm))
    paint = ImageDraw.Draw(image)
    paint.polygon(body, fill=_rgba(mix(warm, (255, 246, 220), 0.55)))
    paint.rectangle(
        (0.28 * width, 0.62 * height, 0.72 * width, 0.66 * height), fill=_rgba(mix(warm, (120, 40, 20), 0.5))
    )
    image.putalpha(alpha)
    return image.reduce(_FINE)


def _rgba(color: Color, alpha: int = 255) -> tuple[int, int, int, int]:
    red, green, blue = (round(channel) for channel in color)
    return red, green, blue, alpha
