"""Painting of the static part of a scene: the stream's start image, or a sky with sun or moon, and land."""

from PIL import Image

from odyssey_mock.media.canvas import Canvas
from odyssey_mock.media.lands import HORIZON, LANDS
from odyssey_mock.media.palette import LIGHTS, Light, Scenery


def paint(canvas: Canvas, scenery: Scenery, picture: Image.Image | None) -> None:
    """Paint the static part of a scene on the canvas: the start image `picture`, or `scenery` if `picture` is None.

    `picture` must be RGB and have the size of the canvas. The prompt does not change the colors of the picture.
    """
    if picture is not None:
        canvas.picture(picture)
        return
    light = LIGHTS[scenery.hour]
    canvas.gradient(((0.0, light.zenith), (0.32, light.middle), (HORIZON, light.horizon), (1.0, light.horizon)))
    if scenery.land != "space":
        _heavenly_body(canvas, scenery, light)
    LANDS[scenery.land](canvas, scenery, light)


def _heavenly_body(canvas: Canvas, scenery: Scenery, light: Light) -> None:
    x, y = scenery.body
    x, y, one = x * canvas.size.width, y * canvas.size.height, canvas.size.scale
    radius = {"day": 46, "night": 42, "dawn": 64, "sunset": 84}[scenery.hour] * one
    canvas.glow(x, y, radius * 6.5, light.body, 0.3)
    canvas.glow(x, y, radius * 2.6, light.body, 0.5)
    canvas.disc(x, y, radius, light.body)
    if scenery.hour == "night":
        for dx, dy, share in ((-0.35, -0.2, 0.24), (0.3, 0.34, 0.3), (0.25, -0.42, 0.15)):
            canvas.disc(x + dx * radius, y + dy * radius, share * radius, (206, 212, 228), 0.8)
