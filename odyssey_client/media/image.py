"""Conversion of the image that starts a stream (protocol.md section 7).

The result is a ``data:`` URL of an image that browsers display, in exactly the stream's size:

- The format is detected from the content, not from a file name or media type: JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or
  AVIF.
- A file may have 25 MB and 64 megapixels at most. The pixels are counted before the image is decoded.
- The EXIF orientation is applied, the first frame of an animation is used, and transparency becomes white.
- The image is scaled to cover the stream's size, cropped evenly at both sides, and sent as JPEG of quality 90.
- A JPEG, PNG or WebP that needs no change is sent byte for byte.

Pillow is imported with the first image.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from odyssey_client.errors import ImageError, excerpt
from odyssey_client.media.image_source import (
    ImageSource,
    as_array,
    as_picture,
    check_size,
    content_of,
    from_array,
    too_large,
)

if TYPE_CHECKING:
    from PIL import Image

PORTRAIT_SIZE = (704, 1280)
LANDSCAPE_SIZE = (1280, 704)
JPEG_QUALITY = 90

_FORMATS = "JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF"
_BROWSER_SAFE: Mapping[str, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM"), "BMP"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright


def prepare_image(image: ImageSource, *, portrait: bool) -> str:
    """Return ``image`` as a ``data:`` URL of 704x1280 pixels if ``portrait``, and of 1280x704 otherwise.

    The call may read a file and uses the CPU for up to about a second. In async code, call it in a thread
    (``asyncio.to_thread``).

    Raises:
        ImageError: ``image`` has an unsupported type, is not a readable image, or is too large.
    """
    size = PORTRAIT_SIZE if portrait else LANDSCAPE_SIZE
    if (array := as_array(image)) is not None:
        return _data_url("image/jpeg", _jpeg(from_array(array), size))
    if (picture := as_picture(image)) is not None:
        _check_pixels(picture)
        return _data_url("image/jpeg", _decoded(lambda: _jpeg(picture, size), "the PIL image"))
    content = content_of(image)
    if not content:
        raise ImageError("the image is empty (0 bytes)")
    return _decoded(lambda: _from_file(content, size), f"the image ({len(content)} bytes)")


def _from_file(content: bytes, size: tuple[int, int]) -> str:
    kind = _kind(content)
    if kind is None:
        got = f"{len(content)} bytes that begin with {content[:8]!r}"
        raise ImageError(f"unsupported image format: expected {_FORMATS}, got {got}")
    picture = _open(content, kind)
    _check_pixels(picture)
    picture.load()
    if kind in _BROWSER_SAFE and _may_go_as_it_is(picture, size):
        return _data_url(_BROWSER_SAFE[kind], content)
    return _data_url("image/jpeg", _jpeg(picture, size))


def _kind(content: bytes) -> str | None:
    """Return Pillow's name of the format, detected from the first bytes; None for an unsupported format."""
    if content[4:8] != b"ftyp":
        return next((kind for magic, kind in _MAGIC if magic.match(content)), None)
    # ISO base media (ISO/IEC 14496-12 section 4.3): size of the box, its type, major brand, version, compatible brands.
    # AVIF and HEIC share some major brands, so the compatible brands decide.
    end = min(int.from_bytes(content[:4]), 1024)
    brands = {content[at : at + 4] for at in (8, *range(16, end, 4))}
    return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None


def _open(content: bytes, kind: str) -> Image.Image:
    """Open the image with the decoder for format ``kind``, without decoding the pixels."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only callers that send an image need it

    if kind != "HEIF":
        try:
            return Image.open(io.BytesIO(content), formats=[kind])
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise too_large(excerpt(str(error))) from error
        except UnidentifiedImageError as error:  # Pillow's message shows only a `BytesIO` object
            raise ValueError(f"the content begins like {kind}, but the rest is invalid") from error
    import pillow_heif  # noqa: PLC0415 - as for Pillow

    file = pillow_heif.open_heif(io.BytesIO(content))
    check_size(*file.size)  # before to_pillow decodes it
    picture: Image.Image = file.to_pillow()
    return picture


def _may_go_as_it_is(picture: Image.Image, size: tuple[int, int]) -> bool:
    return (
        picture.size == size
        and picture.mode in {"RGB", "L"}
        and "transparency" not in picture.info
        and getattr(picture, "n_frames", 1) == 1
        and picture.getexif().get(_ORIENTATION, 1) == 1
    )


def _jpeg(picture: Image.Image, size: tuple[int, int]) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 - see _open

    upright = ImageOps.exif_transpose(picture)
    fitted = ImageOps.fit(_rgb(upright), size, method=Image.Resampling.LANCZOS)
    out = io.BytesIO()
    fitted.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _rgb(picture: Image.Image) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - see _open

    if picture.mode in {"I", "F"}:
        raise ImageError(
            f"a PIL image of mode {picture.mode!r} does not define which values are black and white: "
            "scale it to 0..255 and convert it to 'L' or 'RGB' first"
        )
    if picture.mode.startswith("I;16"):
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


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


def _check_pixels(picture: Image.Image) -> None:
    check_size(picture.width, picture.height)


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
