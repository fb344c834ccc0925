"""Thumbnails: small JPEG pictures of frames."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

THUMBNAIL_SIDE = 160
"""Longest side of a thumbnail in pixels, unless another one is requested."""
THUMBNAIL_QUALITY = 60
"""JPEG quality of thumbnails."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail, with its width and height in pixels."""

    jpeg: bytes
    width: int
    height: int


def thumbnail_of(frame: av.VideoFrame, side: int = THUMBNAIL_SIDE) -> Thumbnail:
    """Return a thumbnail of a frame, whose longest side has `side` pixels. This takes about 2 ms."""
    from PIL import Image  # noqa: PLC0415 - see `odyssey_mock.media`: the route of thumbnails needs the constant

    scale = side / max(frame.width, frame.height)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    pixels = frame.reformat(width, height, format="rgb24", interpolation="AREA").to_ndarray()
    image = io.BytesIO()
    Image.fromarray(pixels).save(image, "JPEG", quality=THUMBNAIL_QUALITY)
    return Thumbnail(image.getvalue(), width, height)
