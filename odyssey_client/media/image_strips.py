"""Operations on large images in horizontal strips, so that they need no second copy of the whole image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_STRIP_PIXELS = 2**20


def converted(picture: Image.Image, convert: Callable[[Image.Image], Image.Image], mode: str, side: int) -> Image.Image:
    """Return ``picture``, each strip passed through ``convert``, which returns an image of ``mode``.

    The result may be reduced by averaging, but not below ``side`` pixels in width or height.
    """
    from PIL import Image  # noqa: PLC0415 - only callers that send an image need it

    factor = max(1, min(picture.size) // side)
    whole = Image.new(mode, (-(-picture.width // factor), -(-picture.height // factor)))
    for box in _strips(picture, factor):
        strip = convert(picture.crop(box))
        whole.paste(strip if factor == 1 else strip.reduce(factor), (0, box[1] // factor))
    return whole


def differ(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two images of equal size and mode differ in a pixel."""
    from PIL import ImageChops  # noqa: PLC0415 - see `converted`

    for box in _strips(one, 1):
        # `getbbox` is None if all channels are equal everywhere.
        if ImageChops.difference(one.crop(box), other.crop(box)).getbbox(alpha_only=False) is not None:
            return True
    return False


def _strips(picture: Image.Image, factor: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of strips, top to bottom; the height of all but the last is a multiple of ``factor``."""
    height = factor * max(1, _STRIP_PIXELS // (picture.width * factor))
    for top in range(0, picture.height, height):
        yield 0, top, picture.width, min(top + height, picture.height)
