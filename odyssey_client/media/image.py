"""Conversion of the image that starts a stream (protocol.md section 7).

The result is a ``data:`` URL of an image that browsers display, in exactly the stream's size:

- The format is detected from the content, not from a file name or media type. `image_file` describes which files are
  readable.
- A file may have 25 MB and 64 megapixels at most, WebP and AVIF 32 megapixels. The pixels are counted before the image
  is decoded, and at most `AT_ONCE` images are prepared at the same time. Each takes at most about 512 MB of memory.
- The EXIF orientation is applied, the first frame of an animation is used, and transparency becomes white.
- Colors are converted to sRGB if the image has a color profile (Display P3, Adobe RGB, a gray or CMYK profile).
- The image is scaled to cover the stream's size, cropped evenly at both sides, and sent as JPEG of quality 90.
- A JPEG, PNG or WebP that needs no change is sent byte for byte.

Pillow is imported with the first image.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from odyssey_client.errors import ImageError, excerpt
from odyssey_client.media.color_profiles import is_in_srgb, srgb_transform
from odyssey_client.media.image_file import decode_file, orientation
from odyssey_client.media.image_source import (
    ImageSource,
    as_array,
    as_picture,
    check_size,
    content_of,
    from_array,
)
from odyssey_client.media.image_strips import converted

if TYPE_CHECKING:
    from PIL import Image

PORTRAIT_SIZE = (704, 1280)
LANDSCAPE_SIZE = (1280, 704)
JPEG_QUALITY = 90

AT_ONCE = 2
"""Number of images that are prepared at the same time; calls in other threads wait."""
_slots = threading.BoundedSemaphore(AT_ONCE)

_OVERSIZE = 2
"""Large images are first reduced to at least this multiple of the stream's size, by averaging; then they are scaled."""

_BROWSER_SAFE: Mapping[str, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_TURNS: Mapping[int, str] = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's names of the transpositions that turn an image upright, by its EXIF orientation."""


def prepare_image(image: ImageSource, *, portrait: bool) -> str:
    """Return ``image`` as a ``data:`` URL of 704x1280 pixels if ``portrait``, and of 1280x704 otherwise.

    The call may read a file and uses the CPU for up to about a second. In async code, call it in a thread
    (``asyncio.to_thread``).

    Raises:
        ImageError: ``image`` has an unsupported type, is not a readable image, or is too large.
    """
    size = PORTRAIT_SIZE if portrait else LANDSCAPE_SIZE
    with _slots:
        return _prepared(image, size)


def _prepared(image: ImageSource, size: tuple[int, int]) -> str:
    if (array := as_array(image)) is not None:
        return _data_url("image/jpeg", _jpeg(from_array(array), size))
    if (picture := as_picture(image)) is not None:
        check_size(picture.width, picture.height)
        return _data_url("image/jpeg", _decoded(lambda: _jpeg(picture, size), "the PIL image"))
    content = content_of(image)
    if not content:
        raise ImageError("the image is empty: expected the content of an image file, got 0 bytes")
    return _decoded(lambda: _from_file(content, size), f"the image ({len(content)} bytes)")


def _from_file(content: bytes, size: tuple[int, int]) -> str:
    file = decode_file(content, max(size))
    if file.is_sound and file.kind in _BROWSER_SAFE and _may_go_as_it_is(file.picture, size):
        return _data_url(_BROWSER_SAFE[file.kind], content)
    return _data_url("image/jpeg", _jpeg(file.picture, size))


def _may_go_as_it_is(picture: Image.Image, size: tuple[int, int]) -> bool:
    return (
        picture.size == size
        and picture.mode in {"RGB", "L"}
        and "transparency" not in picture.info
        and getattr(picture, "n_frames", 1) == 1
        and orientation(picture) == 1
        and ((transform := srgb_transform(picture)) is None or is_in_srgb(picture, transform))
    )


def _jpeg(picture: Image.Image, size: tuple[int, int]) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 - only callers that send an image need it

    turn = _TURNS.get(orientation(picture) or 1)
    transform = srgb_transform(picture)
    mode = "RGB" if transform is None else transform.input_mode
    opaque = converted(picture, lambda strip: _opaque(strip, mode), mode, _OVERSIZE * max(size))
    upright = opaque if turn is None else opaque.transpose(Image.Transpose[turn])
    fitted = ImageOps.fit(upright, size, method=Image.Resampling.LANCZOS)
    shown = fitted if transform is None else transform.apply(fitted)
    shown.info.clear()  # otherwise Pillow saves the comment of the original, which may be too long for JPEG
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _opaque(picture: Image.Image, mode: str) -> Image.Image:
    """Convert an image to ``mode``, which is ``RGB``, ``L`` or ``CMYK``, with white instead of transparency."""
    from PIL import Image  # noqa: PLC0415 - see _jpeg

    if picture.mode in {"I", "F"}:
        raise ImageError(
            f"a PIL image of mode {picture.mode!r} does not define which values are black and white: "
            "scale it to 0..255 and convert it to 'L' or 'RGB' first"
        )
    if picture.mode.startswith("I;16"):
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert(mode)
    if not picture.has_transparency_data:
        return picture.convert(mode)
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB").convert(mode)


def _decoded[T](decode: Callable[[], T], what: str) -> T:
    try:
        return decode()
    except ImageError:
        raise
    except Exception as error:  # decoders raise any exception for broken files
        why = excerpt(str(error)).rstrip(".") or type(error).__name__
        raise ImageError(
            f"{what} cannot be read: {why}. Check that the file is complete and opens in a viewer."
        ) from error


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
