"""Small images that are blended into the planes of each frame: `Sprite` (one image) and `Specks` (many equal spots)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odyssey_mock.media.canvas import component, halved
from odyssey_mock.media.planes import WHITE, Plane, Planes

type _Blend = NDArray[np.int16]

_OPAQUE = 128
"""The alpha value of full opacity: the largest power of two for which 255 * alpha fits in int16."""


class Sprite:
    """A transparent image that can be drawn anywhere on a frame, also partly or completely outside it.

    Args:
        image: RGBA, with an even width and height.
    """

    def __init__(self, image: Image.Image) -> None:
        pixels = np.asarray(image, np.float32)
        alpha = pixels[..., 3] / np.float32(255)
        self.width, self.height = image.size
        self._luma = component(pixels, 0).astype(np.int16)
        self._chroma = [halved(component(pixels, number)).astype(np.int16) for number in (1, 2)]
        self._alpha = np.rint(alpha * _OPAQUE).astype(np.int16)
        self._chroma_alpha = np.rint(halved(alpha) * _OPAQUE).astype(np.int16)

    def draw(self, planes: Planes, left: int, top: int) -> None:
        """Blend the sprite into `planes`, with its upper left corner at (left, top)."""
        _blend(planes.y, left, top, self._luma, self._alpha)
        for plane, chroma in zip((planes.u, planes.v), self._chroma, strict=True):
            _blend(plane, left // 2, top // 2, chroma, self._chroma_alpha)


def _blend(plane: Plane, left: int, top: int, shades: _Blend, alpha: _Blend) -> None:
    height, width = shades.shape
    lines = slice(max(0, -top), min(height, plane.shape[0] - top))
    columns = slice(max(0, -left), min(width, plane.shape[1] - left))
    if lines.start >= lines.stop or columns.start >= columns.stop:
        return
    region = plane[top + lines.start : top + lines.stop, left + columns.start : left + columns.stop]
    below = region.astype(np.int16)
    region[:] = below + ((shades[lines, columns] - below) * alpha[lines, columns] >> 7)


class Specks:
    """Many small spots of one shape, drawn in one call: snow, rain, stars, glints.

    Args:
        shape: opacity of the spot, array (height, width) of 0 to 1.
        luma: brightness of the spots, which do not change the color of the background.
    """

    def __init__(self, shape: NDArray[np.float64], luma: int) -> None:
        self.height, self.width = shape.shape
        self._alpha = np.rint(shape * _OPAQUE).astype(np.int16)
        self._luma = np.int16(luma)

    def draw(
        self, luma: Plane, left: NDArray[np.intp], top: NDArray[np.intp], strength: NDArray[np.float64] | None = None
    ) -> None:
        """Blend a spot into `luma` at each (left, top), with its own `strength` (0 to 1).

        Spots that are partly outside the frame are not drawn.
        """
        inside = (left >= 0) & (top >= 0) & (left <= luma.shape[1] - self.width) & (top <= luma.shape[0] - self.height)
        left, top = left[inside], top[inside]
        lines = top[:, None, None] + np.arange(self.height)[:, None]
        columns = left[:, None, None] + np.arange(self.width)
        alpha = np.broadcast_to(self._alpha, (left.size, self.height, self.width))
        if strength is not None:
            alpha = (alpha * strength[inside, None, None]).astype(np.int16)
        below = luma[lines, columns].astype(np.int16)
        luma[lines, columns] = below + ((self._luma - below) * alpha >> 7)


def ring(luma: Plane, x: float, y: float, radius: float, thickness: float, strength: float) -> None:
    """Draw a white circle around (x, y). Its line has the opacity `strength` (0 to 1) in the middle, and soft edges."""
    reach = radius + thickness
    lines = slice(max(0, int(y - reach)), max(0, min(luma.shape[0], int(y + reach) + 1)))
    columns = slice(max(0, int(x - reach)), max(0, min(luma.shape[1], int(x + reach) + 1)))
    across = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - x)
    down = np.arange(lines.start, lines.stop, dtype=np.float32) + np.float32(0.5 - y)
    away = np.abs(np.sqrt(across**2 + down[:, None] ** 2) - np.float32(radius))
    alpha = np.clip(1 - away / np.float32(thickness), 0, 1) * np.float32(strength)
    region = luma[lines, columns]
    region[:] = region + alpha * (WHITE - region.astype(np.float32))
