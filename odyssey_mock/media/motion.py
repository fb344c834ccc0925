"""The moving parts of a scene: clouds, stars, glints on the water, birds, snow, rain and motes of light."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from odyssey_mock.media.canvas import Color, even, mix
from odyssey_mock.media.hash_noise import fractions
from odyssey_mock.media.lands import HORIZON
from odyssey_mock.media.palette import LIGHTS, Scenery
from odyssey_mock.media.planes import Planes
from odyssey_mock.media.sprites import Specks, Sprite
from odyssey_mock.media.timeline import Size


class Mover(Protocol):
    """A moving part of a scene."""

    def draw(self, planes: Planes, seconds: float) -> None:
        """Draw this part as it looks `seconds` after the stream's start."""
        ...


class _Drift:
    """A sprite that drifts sideways through the frame again and again."""

    def __init__(self, sprite: Sprite, *, start: float, top: float, speed: float) -> None:
        self._sprite, self._start, self._top, self._speed = sprite, start, round(top), speed

    def draw(self, planes: Planes, seconds: float) -> None:
        span = planes.y.shape[1] + self._sprite.width
        left = round(self._start * span + self._speed * seconds) % span - self._sprite.width
        self._sprite.draw(planes, left, self._top)


class _Swarm:
    """Spots that fall or drift, sway and twinkle in a box. A spot that leaves the box enters again on the other side.

    Args:
        specks: the spots.
        places: array (count, 3) of values from 0 to 1: for each spot, x and y of its start in the box, and its phase.
        box: left, top, width, height in pixels.
        speed: horizontal and vertical speed in pixels per second; each spot moves at 0.6 to 1.4 times this speed.
        sway: amplitude of the sideways movement in pixels.
        twinkle: share of the brightness that varies, 0 to 1.
    """

    def __init__(
        self,
        specks: Specks,
        places: NDArray[np.float64],
        *,
        box: tuple[float, float, float, float],
        speed: tuple[float, float] = (0, 0),
        sway: float = 0,
        twinkle: float = 0,
    ) -> None:
        self._specks, self._places, self._box = specks, places, box
        self._speed, self._sway, self._twinkle = speed, sway, twinkle

    def draw(self, planes: Planes, seconds: float) -> None:
        left, top, width, height = self._box
        across, down, phase = self._places.T
        pace = seconds * (0.6 + 0.8 * phase)
        angle = 2 * np.pi * (phase + seconds * (0.12 + 0.2 * across))
        x = left + (across * width + self._speed[0] * pace) % width + self._sway * np.sin(angle)
        y = top + (down * height + self._speed[1] * pace) % height
        strength = 1 - self._twinkle * (0.5 + 0.5 * np.cos(angle * 2)) if self._twinkle else None
        self._specks.draw(planes.y, np.rint(x).astype(np.intp), np.rint(y).astype(np.intp), strength)


def movers(scenery: Scenery, size: Size, *, pictured: bool) -> list[Mover]:
    """Return the moving parts of `scenery`, from back to front.

    If `pictured` is true, the stream has a start image: only snow, rain or motes of light move in front of the image.
    """
    behind = () if pictured else (_stars, _clouds, _glints, _birds)
    return [mover for make in (*behind, _falling) for mover in make(scenery, size)] or [_motes(scenery, size)]


def _spot(width: float, height: float) -> NDArray[np.float64]:
    """Return the opacity of a soft spot of about `width` x `height` pixels, at least 1x1."""
    columns, lines = max(1, round(width)), max(1, round(height))
    x = (np.arange(columns) + 0.5) / columns * 2 - 1
    y = (np.arange(lines) + 0.5) / lines * 2 - 1
    return np.clip(1.25 - np.hypot(x, y[:, None]) * 1.1, 0, 1)


def _stars(scenery: Scenery, size: Size) -> Iterator[Mover]:
    if scenery.hour == "night" or scenery.land == "space":
        one, seed = size.scale, scenery.seed
        box = (0, 0, size.width, (0.42 if scenery.land != "space" else 0.8) * size.height)
        for width, count in ((3, 70), (5, 16)):
            places = fractions("twinkling", seed, width, count=3 * count).reshape(count, 3)
            yield _Swarm(Specks(_spot(width * one, width * one), 232), places, box=box, twinkle=0.85)


def _clouds(scenery: Scenery, size: Size) -> Iterator[Mover]:
    if scenery.weather == "clear" or scenery.land == "space":
        return
    light, one = LIGHTS[scenery.hour], size.scale
    white = mix(light.horizon, (255, 255, 255), 0.5 * light.strength)
    color = mix(white, light.middle, 0.45 if scenery.weather == "rain" else 0.12)
    for number, (top, width, speed) in enumerate(((0.08, 300, 20), (0.2, 230, 12), (0.32, 340, 16))):
        start, nudge = fractions("cloud", scenery.seed, number, count=2)
        cloud = _cloud(width * one, color, f"{scenery.seed}/{number}")
        y = (top + 0.05 * nudge) * size.height
        yield _Drift(Sprite(cloud), start=(start + number) / 3, top=y, speed=speed * one)


def _cloud(width: float, color: Color, seed: str) -> Image.Image:
    wide, high = even(width), even(width * 0.42)
    mask = Image.new("L", (wide, high), 0)
    draw = ImageDraw.Draw(mask)
    for x, rise, size in fractions("puffs", seed, count=27).reshape(9, 3):
        radius = (0.06 + 0.06 * size) * wide * (1.15 - abs(x - 0.5))
        middle = (0.2 + 0.6 * x) * wide, 0.52 * high - rise * 0.1 * high
        draw.ellipse((middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius), fill=215)
    draw.rounded_rectangle((0.08 * wide, 0.56 * high, 0.92 * wide, 0.8 * high), 0.12 * high, fill=215)
    mask = mask.filter(ImageFilter.GaussianBlur(max(1.0, width / 60)))
    cloud = Image.new("RGBA", (wide, high), tuple(round(c) for c in color))
    cloud.putalpha(mask)
    return cloud


def _glints(scenery: Scenery, size: Size) -> Iterator[Mover]:
    if scenery.land == "sea":
        one = size.scale
        for number, (top, depth, width, count) in enumerate(((0.0, 0.14, 26, 34), (0.13, 0.3, 52, 30))):
            places = fractions("glints", scenery.seed, number, count=3 * count).reshape(count, 3)
            box = (0, (HORIZON + 0.01 + top) * size.height, size.width - width * one, depth * size.height)
            luma = round(90 + 135 * LIGHTS[scenery.hour].strength)
            shape = _spot(width * one, (2 + number) * one) * 0.6
            yield _Swarm(Specks(shape, luma), places, box=box, sway=26 * one, twinkle=0.9)


def _birds(scenery: Scenery, size: Size) -> Iterator[Mover]:
    if scenery.land != "space" and scenery.hour != "night" and scenery.weather in {"clear", "clouds"}:
        one, count = size.scale, 7
        flock = fractions("birds", scenery.seed, count=3 * count).reshape(count, 3) * (0.25, 1, 0.25)
        box = (-20 * one, 0.24 * size.height, size.width + 40 * one, 0.12 * size.height)
        yield _Swarm(Specks(_bird(22 * one), 52), flock, box=box, speed=(46 * one, 0), sway=5 * one)


def _bird(width: float) -> NDArray[np.float64]:
    scale, wide, high = 8, max(5, round(width)), max(3, round(width * 0.45))
    image = Image.new("L", (wide * scale, high * scale), 0)
    draw, middle, thick = ImageDraw.Draw(image), wide * scale / 2, round(width * 0.09 * scale)
    for side in (-1, 1):
        tip, bow = middle + side * 0.46 * wide * scale, middle + side * 0.22 * wide * scale
        points = [(middle, 0.8 * high * scale), (bow, 0.3 * high * scale), (tip, 0.42 * high * scale)]
        draw.line(points, fill=225, width=max(2, thick), joint="curve")
    return np.asarray(image.resize((wide, high), Image.Resampling.LANCZOS)) / 255


def _falling(scenery: Scenery, size: Size) -> Iterator[Mover]:
    one, box = size.scale, (0, 0, size.width, size.height)
    if scenery.weather == "snow" and scenery.land != "space":
        for width, count, speed in ((5, 60, 70), (8, 34, 110), (11, 12, 150)):
            places = fractions("snow", scenery.seed, width, count=3 * count).reshape(count, 3)
            shape = _spot(width * one, width * one) * 0.92
            yield _Swarm(Specks(shape, 235), places, box=box, speed=(14 * one, speed * one), sway=14 * one)
    if scenery.weather == "rain" and scenery.land != "space":
        for length, count, speed in ((26, 60, 620), (40, 30, 860)):
            places = fractions("rain", scenery.seed, length, count=3 * count).reshape(count, 3)
            shape = _spot(2.4 * one, length * one) * 0.5
            yield _Swarm(Specks(shape, 220), places, box=box, speed=(0, speed * one))


def _motes(scenery: Scenery, size: Size) -> Mover:
    """Return motes of light that rise slowly.

    In a scene without other movement, the motes show that the video is running.
    """
    one, count = size.scale, 26
    places = fractions("motes", scenery.seed, count=3 * count).reshape(count, 3)
    box, shape = (0.0, 0.0, float(size.width), float(size.height)), _spot(7 * one, 7 * one) * 0.8
    return _Swarm(Specks(shape, 235), places, box=box, speed=(6 * one, -26 * one), sway=18 * one, twinkle=0.9)
