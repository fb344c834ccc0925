"""The landscapes of a scene. Each landscape consists of layers, which are painted from the farthest to the nearest.

A layer is the area below a skyline. A skyline is an array of heights, which depend on the seed of the scene.
A full-size frame has 704x1280 or 1280x704 pixels; lengths are scaled for other sizes.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from odyssey_mock.media.canvas import Canvas, Color, Floats, mix
from odyssey_mock.media.hash_noise import fraction, fractions
from odyssey_mock.media.palette import LIGHTS, Land, Light, Scenery, lit

HORIZON = 0.54
"""Position of the horizon, as a share of the height."""

_SUBCOLUMNS = 3
"""Skyline values per column of pixels; several values soften steep edges."""

_SNOW: Color = (244, 248, 252)


def _columns(canvas: Canvas) -> Floats:
    """Return the x coordinates of the values of a skyline, in pixels of a full-size frame."""
    count = canvas.size.width * _SUBCOLUMNS
    return (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(_SUBCOLUMNS * canvas.size.scale)


def _rolling(x: Floats, *seed: str | int) -> Floats:
    """Return the heights of gentle hills, from -1 to 1."""
    phases = fractions("rolling", *seed, count=3) * 2 * np.pi
    lengths = 620 + 260 * fractions("lengths", *seed, count=3)
    heights = np.zeros_like(x)
    for phase, length, octave, weight in zip(phases, lengths, (1, 2.3, 4.9), (0.62, 0.28, 0.1), strict=True):
        heights += (weight * np.sin(x * (2 * np.pi * octave / length) + phase)).astype(np.float32)
    return heights


def _ridge(x: Floats, step: float, *seed: str | int) -> Floats:
    """Return the heights of a ridge: straight lines between random heights (0.3 to 1) every `step` pixels."""
    heights = 0.3 + 0.7 * fractions("ridge", *seed, count=int(x[-1] / step) + 3)
    return np.interp(x, (np.arange(heights.size) - 0.5) * step, heights).astype(np.float32)


def _layers(canvas: Canvas, light: Light, far: Color, near: Color, skylines: tuple[tuple[float, Floats], ...]) -> None:
    """Fill the area below each of `skylines`, from the farthest to the nearest.

    Each skyline has a base line (a share of the canvas's height) and heights above it (pixels of a full-size frame).
    """
    height, one = canvas.size.height, canvas.size.scale
    for number, (base, rise) in enumerate(skylines):
        share = number / max(1, len(skylines) - 1)
        color = mix(far, near, share)
        haze = 0.5 * (1 - share)
        canvas.below(
            base * height - rise * np.float32(one),
            lit(color, light, haze),
            lit(mix(color, (0, 0, 0), 0.3), light, haze * 0.5),
            depth=0.2 * height,
        )


def _hills(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    x = _columns(canvas)
    steps = ((0.56, 46), (0.62, 52), (0.7, 50), (0.8, 44))
    skylines = tuple((base, rise * _rolling(x, scenery.seed, number)) for number, (base, rise) in enumerate(steps))
    white = scenery.weather == "snow"
    far, near = ((206, 220, 232), (236, 242, 248)) if white else ((136, 172, 128), (40, 104, 58))
    _layers(canvas, light, far, near, skylines)


def _mountains(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    x, seed = _columns(canvas), scenery.seed
    for number, (base, rise, step, haze) in enumerate(((0.6, 330.0, 190.0, 0.5), (0.66, 260.0, 150.0, 0.24))):
        peaks = rise * _ridge(x, step, seed, number) + 46 * _ridge(x, 47.0, seed, number, "rock")
        rock = lit((92, 98, 122), light, haze)
        skyline = np.float32(base * canvas.size.height) - peaks.astype(np.float32) * np.float32(canvas.size.scale)
        _snow_capped(
            canvas,
            skyline,
            rise * canvas.size.scale,
            rock,
            mix(lit(_SNOW, light, haze * 0.6), light.body, 0.3),
            (seed, number),
        )
    white = scenery.weather == "snow"
    far, near = ((198, 212, 226), (232, 240, 248)) if white else ((88, 128, 96), (34, 82, 60))
    steps = ((0.68, 34), (0.76, 40), (0.84, 36))
    _layers(
        canvas,
        light,
        far,
        near,
        tuple((base, rise * _rolling(x, seed, "foot", round(100 * base))) for base, rise in steps),
    )


def _snow_capped(
    canvas: Canvas, skyline: Floats, rise: float, rock: Color, snow: Color, seed: tuple[str | int, ...]
) -> None:
    """Fill the area below a mountain skyline: snow above a ragged snow line, and rock below it."""
    depth = rise * 1.2
    canvas.below(skyline, snow, mix(snow, rock, 0.4), depth=depth)
    ragged = 0.1 * rise * _ridge(_columns(canvas), 23.0, *seed, "snow line")
    line = np.float32(skyline.min() + 0.3 * rise) + ragged
    canvas.below(np.maximum(skyline, line.astype(np.float32)), rock, mix(rock, (0, 0, 0), 0.3), depth=depth)


def _forest(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    x, seed = _columns(canvas), scenery.seed
    steps = ((0.56, 40, 74, 17), (0.64, 40, 110, 27), (0.73, 36, 150, 40), (0.84, 30, 200, 62))
    skylines = []
    for number, (base, rise, tallest, width) in enumerate(steps):
        sizes = fractions("trees", seed, number, count=int(x[-1] / width) + 2)
        tree = (x / width).astype(np.intp)
        slope = 1 - np.abs(x / width - tree - 0.5) * 2
        tiers = slope + 0.07 * np.sin(slope * 26)
        trees = tallest * (0.5 + 0.5 * sizes[tree]) * np.clip(tiers, 0, 1)
        skylines.append((base, (rise * _rolling(x, seed, number) + trees).astype(np.float32)))
    white = scenery.weather == "snow"
    far, near = ((176, 198, 206), (66, 104, 104)) if white else ((108, 156, 124), (18, 66, 46))
    _layers(canvas, light, far, near, tuple(skylines))


def _desert(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    x, seed = _columns(canvas), scenery.seed
    skylines = []
    for number, (base, rise, length) in enumerate(
        ((0.57, 60, 520), (0.64, 90, 760), (0.74, 110, 940), (0.85, 90, 1200))
    ):
        phase = x / length + fraction("dune", seed, number)
        # A dune rises slowly and falls steeply.
        along = phase - np.floor(phase)
        crest = np.where(along < 0.68, along / 0.68, (1 - along) / 0.32)
        skylines.append(
            (base, (rise * (0.5 - 0.5 * np.cos(np.pi * crest)) + 8 * _rolling(x, seed, number)).astype(np.float32))
        )
    _layers(canvas, light, (238, 206, 156), (204, 138, 78), tuple(skylines))


def _sea(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    width, height, one = canvas.size.width, canvas.size.height, canvas.size.scale
    x = _columns(canvas)
    at = fraction("island", scenery.seed) * width / one
    island = 70 * np.exp(-(((x - at) / 120) ** 2)) + 34 * np.exp(-(((x - at - 130) / 80) ** 2)) - 4
    horizon = np.full_like(x, np.float32(HORIZON * height))
    canvas.below(
        horizon - np.float32(one) * island, lit((78, 104, 120), light, 0.35), lit((52, 78, 88), light), depth=90 * one
    )
    # Water reflects the colors of the sky.
    far, near = mix(lit((32, 112, 150), light), light.middle, 0.5), mix(lit((10, 58, 96), light), light.zenith, 0.3)
    canvas.below(horizon, far, near, depth=0.4 * height)
    # The reflection of the sun or moon: dashes that widen and fade towards the shore.
    path, _ = scenery.body
    for number in range(34):
        away = (number + 1) / 34
        y = (HORIZON + 0.005 + 0.36 * away**1.5) * height
        spread, shift = fractions("path", scenery.seed, number, count=2)
        half = (16 + 70 * away) * (0.45 + 0.8 * spread) * one
        _dash(
            canvas,
            (path * width + (shift - 0.5) * 56 * away * one),
            y,
            half,
            (1.2 + 3 * away) * one,
            light.body,
            0.6 - 0.42 * away,
        )


def _dash(canvas: Canvas, x: float, y: float, half: float, thick: float, color: Color, opacity: float) -> None:
    """Paint a horizontal dash with fading ends."""
    height, width = canvas.size.height, canvas.size.width
    top, bottom = max(0, int(y - thick) // 2 * 2), min(height, int(y + thick) // 2 * 2 + 2)
    along = np.clip(1 - np.abs(np.arange(width, dtype=np.float32) + np.float32(0.5 - x)) / np.float32(half), 0, 1)
    across = np.clip(
        np.float32(thick / 2 + 0.5) - np.abs(np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y)), 0, 1
    )
    canvas.masked((across[:, None] * np.sqrt(along)).astype(np.float32) * np.float32(opacity), color, top=top)


def _city(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    height, one, seed = canvas.size.height, canvas.size.scale, scenery.seed
    x = _columns(canvas)
    dark = light.strength < 0.7
    for number, (base, low, high, width) in enumerate(((0.62, 60, 330, 44), (0.7, 50, 360, 66), (0.8, 30, 330, 96))):
        heights = fractions("towers", seed, number, count=int(x[-1] / width) + 2)
        towers = low + (high - low) * heights**1.6
        skyline = np.float32(base * height) - (towers[(x / width).astype(np.intp)] * one).astype(np.float32)
        share = number / 2
        color = lit(mix((150, 164, 186), (58, 70, 98), share), light, 0.45 * (1 - share))
        canvas.below(skyline, color, mix(color, lit((30, 36, 52), light), 0.8), depth=0.32 * height)
        if number:
            _windows(canvas, towers, base, width, number, dark=dark, seed=seed)


def _windows(
    canvas: Canvas, towers: NDArray[np.float64], base: float, width: int, layer: int, *, dark: bool, seed: str
) -> None:
    """Paint a grid of windows on every tower. At night, only lit windows are visible."""
    one, height = canvas.size.scale, canvas.size.height
    alpha = np.zeros((height, canvas.size.width), np.float32)
    columns, pitch = (3, 26) if layer == 1 else (4, 30)
    pane = (width - 14) / columns
    for number, tower in enumerate(towers):
        rows = int((tower + 0.1 * 1280) / pitch)
        shown = fractions("windows", seed, layer, number, count=columns * rows).reshape(rows, columns)
        for row in range(rows):
            top = base * height + (18 + row * pitch - tower) * one
            for column in range(columns):
                if shown[row, column] < (0.45 if dark else 0.8):
                    left = (number * width + 9 + column * pane) * one
                    alpha[round(top) : round(top + 13 * one), max(0, round(left)) : round(left + (pane - 5) * one)] = 1
    highest = max(0, int(base * height - towers.max() * one) // 2 * 2)
    color = (255, 214, 138) if dark else (206, 226, 242)
    canvas.masked(alpha[highest:] * np.float32(0.85 if dark else 0.4), color, top=highest)


def _space(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    width, height, one, seed = canvas.size.width, canvas.size.height, canvas.size.scale, scenery.seed
    night = LIGHTS["night"]
    canvas.gradient(((0.0, (6, 8, 22)), (0.5, mix((16, 18, 48), light.middle, 0.1)), (1.0, (10, 10, 28))))
    for number, color in enumerate((scenery.accent, (92, 74, 190), (40, 120, 170))):
        x, y = fractions("nebula", seed, number, count=2)
        canvas.glow(x * width, y * 0.7 * height, 420 * one, color, 0.34)
    places = fractions("stars", seed, count=360).reshape(120, 3)
    for x, y, bright in places:
        canvas.disc(x * width, y * height, (0.7 + 1.3 * bright**3) * one, (250, 250, 255), 0.35 + 0.6 * bright)
    x, y = (0.3 + 0.4 * fraction("planet", seed)) * width, 0.44 * height
    radius = 0.2 * min(width, 0.8 * height)
    hue = mix(scenery.accent, (255, 236, 214), 0.25)
    canvas.glow(x, y, radius * 1.7, hue, 0.35)
    _ball(canvas, x, y, radius, hue, mix(hue, night.zenith, 0.85))
    _ring(canvas, x, y, radius, mix(hue, (255, 255, 255), 0.45))
    canvas.disc(x + 1.75 * radius, y - 1.25 * radius, 0.16 * radius, (196, 198, 210))


def _ball(canvas: Canvas, x: float, y: float, radius: float, color: Color, shade: Color) -> None:
    """Paint a planet with soft bands, lit from the upper left."""
    top = max(0, int(y - radius - 2) // 2 * 2)
    bottom = min(canvas.size.height, int(y + radius + 2) // 2 * 2)
    across = (np.arange(canvas.size.width, dtype=np.float32) + np.float32(0.5 - x)) / np.float32(radius)
    down = (np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - y)) / np.float32(radius)
    disc = np.clip((1 - np.hypot(across, down)) * np.float32(radius), 0, 1)
    bands = 0.1 + 0.1 * np.sin((down + across * np.float32(0.28)) * 11)
    dark = np.clip(0.62 * across + 0.5 * down + 0.12, 0, 1) ** 1.3
    canvas.masked(disc, color, top=top)
    canvas.masked((disc * bands).astype(np.float32), shade, top=top)
    canvas.masked((disc * dark).astype(np.float32), shade, top=top)


def _ring(canvas: Canvas, x: float, y: float, radius: float, color: Color) -> None:
    """Paint a planet's tilted ring, except the part that the planet hides."""
    reach = radius * 0.66  # from the middle of the ring to its top and bottom
    top, bottom = max(0, int(y - reach) // 2 * 2), min(canvas.size.height, int(y + reach + 2) // 2 * 2)
    columns = np.arange(canvas.size.width, dtype=np.float32) - np.float32(x)
    lines = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    across = (lines + columns * np.float32(0.28)) / np.float32(0.24)
    distance = np.hypot(columns - lines * np.float32(0.28), across) / np.float32(radius)
    alpha = np.clip(1 - np.abs(distance - 1.62) / 0.24, 0, 1) ** 0.6
    behind = (across < 0) & (np.hypot(columns, lines) < radius)
    canvas.masked(np.where(behind, 0, alpha * 0.8).astype(np.float32), color, top=top)


LANDS: Mapping[Land, Callable[[Canvas, Scenery, Light], None]] = {
    "hills": _hills,
    "mountains": _mountains,
    "forest": _forest,
    "desert": _desert,
    "sea": _sea,
    "city": _city,
    "space": _space,
}
