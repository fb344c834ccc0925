"""`Canvas`, a drawing surface that stores luma and chroma as floats and is converted to the planes of a frame.

Positions and lengths are in pixels of the frame; y grows downwards. Painting a canvas takes much longer than drawing a
frame, and is only done when the prompt changes.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odyssey_mock.media.planes import Plane, Planes
from odyssey_mock.media.timeline import Size

type Color = tuple[float, float, float]
"""A color as red, green and blue, each from 0 to 255."""

type Floats = NDArray[np.float32]

_YUV_OF_RGB = np.array(
    [[65.738, 129.057, 25.064], [-37.945, -74.494, 112.439], [112.439, -94.154, -18.285]], np.float32
) / np.float32(256)
_YUV_OF_BLACK = np.array([16, 128, 128], np.float32)


_BAND = 64
"""Number of lines of a large shape that are blended at once; even. They fit in the cache of the processor."""


def yuv(rgb: Color | Floats) -> Floats:
    """Convert an array (..., 3) of red, green and blue to limited-range Y, Cb and Cr (ITU-R BT.601)."""
    return np.asarray(rgb, np.float32) @ _YUV_OF_RGB.T + _YUV_OF_BLACK


def component(pixels: Floats, number: Literal[0, 1, 2]) -> Floats:
    """Return Y, Cb or Cr of an image: an array (h, w, 3) or (h, w, 4) that begins with red, green and blue.

    A matrix product, as in `yuv`, would use several threads for an image, which wait for each other without sleeping.
    """
    red, green, blue = _YUV_OF_RGB[number]
    converted: Floats = pixels[..., 0] * red
    converted += pixels[..., 1] * green
    converted += pixels[..., 2] * blue
    converted += _YUV_OF_BLACK[number]
    return converted


def mix(first: Color, second: Color, share: float) -> Color:
    """Blend two colors; `share` (0 to 1) is the weight of `second`."""
    (r, g, b), (s, h, c) = first, second
    return r + (s - r) * share, g + (h - g) * share, b + (c - b) * share


def even(length: float) -> int:
    """Round to an even number of pixels, at least 2, because chroma has half the resolution."""
    return max(2, round(length / 2) * 2)


def halved(plane: Floats) -> Floats:
    """Return `plane` at half the width and height, as chroma requires; each value is the average of 2x2 values."""
    # Sums of slices are many times faster than reshaping and taking the mean; those of whole lines come first.
    lines = plane[::2] + plane[1::2]
    total: Floats = lines[:, ::2] + lines[:, 1::2]
    total *= np.float32(0.25)
    return total


class Canvas:
    """A drawing surface of luma and chroma planes; shapes have soft edges."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._y = np.zeros((size.height, size.width), np.float32)
        self._u = np.zeros((size.height // 2, size.width // 2), np.float32)
        self._v = np.zeros_like(self._u)

    def gradient(self, stops: tuple[tuple[float, Color], ...]) -> None:
        """Fill the canvas with a vertical gradient; each stop is a position (0 top, 1 bottom) and a color."""
        rows = np.linspace(0, 1, self.size.height, dtype=np.float32)
        places = [place for place, _ in stops]
        shades = yuv(np.array([color for _, color in stops], np.float32))
        self._y[:] = np.interp(rows, places, shades[:, 0])[:, None]
        self._u[:] = np.interp(rows[::2], places, shades[:, 1])[:, None]
        self._v[:] = np.interp(rows[::2], places, shades[:, 2])[:, None]

    def picture(self, image: Image.Image) -> None:
        """Fill the canvas with an RGB image of the same size."""
        # Convert in bands: a whole frame at once would take 40 MB.
        for top in range(0, self.size.height, 64):
            band = np.asarray(image.crop((0, top, self.size.width, min(top + 64, self.size.height))), np.float32)
            rows, half_rows = slice(top, top + band.shape[0]), slice(top // 2, (top + band.shape[0]) // 2)
            self._y[rows] = component(band, 0)
            self._u[half_rows] = halved(component(band, 1))
            self._v[half_rows] = halved(component(band, 2))

    def disc(self, x: float, y: float, radius: float, color: Color, opacity: float = 1.0) -> None:
        """Paint a filled circle around (x, y)."""
        self._round(x, y, radius + 1, color, opacity, "disc")

    def glow(self, x: float, y: float, radius: float, color: Color, opacity: float) -> None:
        """Paint light that fades from `opacity` at (x, y) to nothing at `radius`."""
        self._round(x, y, radius, color, opacity, "glow")

    def below(self, skyline: Floats, top: Color, bottom: Color, *, depth: float) -> None:
        """Fill the area below a skyline with a vertical gradient.

        Args:
            skyline: y of the area's upper edge: several values per pixel column, which are averaged to soften the edge.
            top: color at the highest point of the skyline.
            bottom: color from `depth` pixels below that point downward.
            depth: height of the gradient in pixels.
        """
        per_column = skyline.size // self.size.width
        highest = max(0, int(skyline.min()) // 2 * 2)
        if highest >= self.size.height:
            return
        lowest = min(self.size.height, (int(skyline.max()) + 2) // 2 * 2)
        lines = np.arange(highest, self.size.height, dtype=np.float32)
        share = np.clip((lines - highest) / np.float32(depth), 0, 1)[:, None]
        shades = yuv(top) + (yuv(bottom) - yuv(top)) * share
        columns = np.ascontiguousarray(skyline.reshape(-1, per_column).T)
        for begin in range(0, lowest - highest, _BAND):
            end = min(begin + _BAND, lowest - highest)
            self._blend(0, highest + begin, _below(lines[begin:end, None] + 1, columns), shades[begin:end, None])
        solid = shades[lowest - highest :]
        self._y[lowest:] = solid[:, 0, None]
        self._u[lowest // 2 :] = solid[::2, 1, None]
        self._v[lowest // 2 :] = solid[::2, 2, None]

    def masked(self, alpha: Floats, color: Color, *, top: int = 0) -> None:
        """Paint `color` on the canvas with the opacity `alpha`.

        `alpha` is an array of values from 0 to 1, as wide as the canvas. Its first row applies at y = `top`. `top` and
        the height of `alpha` must be even.
        """
        self._blend(0, top, alpha, yuv(color))

    def freeze(self) -> Planes:
        """Return the canvas as the read-only planes of a frame, with values rounded to integers."""
        planes = Planes(_rounded(self._y), _rounded(self._u), _rounded(self._v))
        for plane in planes:
            plane.setflags(write=False)
        return planes

    def _round(
        self, x: float, y: float, radius: float, color: Color, opacity: float, edge: Literal["disc", "glow"]
    ) -> None:
        left, right = (max(0, min(self.size.width, int(x + side) // 2 * 2)) for side in (-radius, radius + 2))
        top, bottom = (max(0, min(self.size.height, int(y + side) // 2 * 2)) for side in (-radius, radius + 2))
        if left >= right or top >= bottom:
            return
        across = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - x)) ** 2
        down = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y)) ** 2
        shades = yuv(color)
        for begin in range(0, down.size, _BAND):
            away = np.sqrt(across + down[begin : begin + _BAND, None])
            self._blend(left, top + begin, _round_alpha(away, radius, opacity, edge), shades)

    def _blend(self, left: int, top: int, alpha: Floats, shades: Floats) -> None:
        """Blend `shades` (Y, Cb and Cr) into the canvas with the opacity `alpha`, an array of the shape (h, w).

        numpy broadcasts `shades` to the shape (h, w, 3). `left`, `top`, h and w must be even.
        """
        box, half = _boxes(left, top, alpha)
        for plane, share, shade in zip(
            (self._y[box], self._u[half], self._v[half]), _alphas(alpha), _shades(shades), strict=True
        ):
            change = shade - plane
            change *= share
            np.add(plane, change, out=plane)


def _below(bottoms: Floats, columns: Floats) -> Floats:
    """Return the share of each pixel that is below a skyline.

    `bottoms` (h, 1) are the lower edges of lines of pixels. `columns` (n, w) are n heights of the skyline per column.
    """
    alpha = np.zeros((bottoms.size, columns.shape[1]), np.float32)
    for column in columns:
        part = bottoms - column
        np.clip(part, 0, 1, out=part)
        alpha += part
    alpha /= np.float32(len(columns))
    return alpha


def _round_alpha(away: Floats, radius: float, opacity: float, edge: Literal["disc", "glow"]) -> Floats:
    """Return the opacities of a disc or a glow, from the distances `away` of pixels from its center; changes `away`."""
    if edge == "disc":
        np.subtract(np.float32(radius - 0.5), away, out=away)
        np.clip(away, 0, 1, out=away)
    else:
        away *= np.float32(-1 / radius)
        away += np.float32(1)
        np.maximum(away, 0, out=away)
        away *= away
    away *= np.float32(opacity)
    return away


def overlay(planes: Planes, image: Image.Image, left: int, top: int) -> None:
    """Blend an RGBA image into the planes of a frame; left, top, width and height must be even, and the image must fit.

    The upper left corner of the image is at (left, top).
    """
    pixels = np.asarray(image, np.float32)
    alpha = pixels[..., 3] / np.float32(255)
    box, half = _boxes(left, top, alpha)
    every_second = pixels[::2, ::2]
    shades = component(pixels, 0), component(every_second, 1), component(every_second, 2)
    for plane, share, shade in zip(
        (planes.y[box], planes.u[half], planes.v[half]), _alphas(alpha), shades, strict=True
    ):
        below = plane.astype(np.float32)
        change = shade - below
        change *= share
        below += change
        plane[:] = _rounded(below)


def _boxes(left: int, top: int, alpha: Floats) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of luma and of chroma planes that an array of opacities covers."""
    height, width = alpha.shape
    return (slice(top, top + height), slice(left, left + width)), (
        slice(top // 2, (top + height) // 2),
        slice(left // 2, (left + width) // 2),
    )


def _alphas(alpha: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the opacities for Y, Cb and Cr; those for Cb and Cr have half the width and height of `alpha`."""
    half = halved(alpha)
    return alpha, half, half


def _shades(shades: Floats) -> tuple[Floats, Floats, Floats]:
    """Split `shades` into Y, Cb and Cr, with Cb and Cr at half the resolution."""
    return shades[..., 0], _decimated(shades[..., 1]), _decimated(shades[..., 2])


def _decimated(shades: Floats) -> Floats:
    """Return every second value along each axis that has more than one value."""
    return shades[tuple(slice(None, None, 1 if length == 1 else 2) for length in shades.shape)]


def _rounded(plane: Floats) -> Plane:
    """Round to integers. No value is outside 0 to 255, because a blend is never outside the range of its colors."""
    rounded = np.empty(plane.shape, np.uint8)
    np.rint(plane, out=rounded, casting="unsafe")
    return rounded
