"""Decoding of image files.

The format is detected from the content: JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF. A file is readable if its pixels
are complete:

- Metadata that cannot be read is ignored: texts, comments, EXIF, XMP, color profiles.
- A missing end is accepted if no pixel depends on it: the end marker of JPEG, the end chunk of PNG, the padding of BMP.
- A file that ends before its last pixel is rejected, even if only one row or one scan is incomplete.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odyssey_client.errors import ImageError, excerpt
from odyssey_client.media.image_metadata import PixelData, check_scans, pixel_data
from odyssey_client.media.image_source import check_size, too_large
from odyssey_client.media.image_strips import differ

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = "JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF"
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


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A decoded image file.

    Attributes:
        kind: Pillow's name of the format.
        picture: The decoded image, with the EXIF data and the color profile in ``info``.
        is_sound: Whether the file, with its metadata, was read without an error.
    """

    kind: str
    picture: Image.Image
    is_sound: bool


def decode_file(content: bytes, side: int | None = None) -> ImageFile:
    """Decode an image file. A JPEG may be reduced meanwhile, but not below ``side`` pixels in width or height.

    Raises:
        ImageError: The format is not supported, or the image has too many pixels.
        Exception: The file is damaged. Decoders raise exceptions of any type.
    """
    kind = _kind(content)
    if kind is None:
        got = f"{len(content)} bytes that begin with {content[:8]!r}"
        raise ImageError(f"unsupported image format: expected {_FORMATS}, got {got}")
    try:
        return ImageFile(kind, _loaded(content, kind, side), is_sound=True)
    except ImageError:
        raise
    except Exception:  # of the pixels or of the metadata: only the second attempt tells which
        pixels = pixel_data(content, kind)
        if pixels is None:
            raise
        return ImageFile(kind, _loaded_pixels(pixels, kind), is_sound=False)


def orientation(picture: Image.Image) -> int | None:
    """Return the EXIF orientation of an image, which is 1 to 8; None if its EXIF data cannot be read.

    An image without an orientation, or with an undefined one, is upright (1).
    """
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises exceptions of many types for damaged EXIF data
        return None
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _kind(content: bytes) -> str | None:
    """Return Pillow's name of the format, detected from the first bytes; None for an unsupported format."""
    if content[4:8] != b"ftyp":
        return next((kind for magic, kind in _MAGIC if magic.match(content)), None)
    # ISO base media (ISO/IEC 14496-12 section 4.3): size of the box, its type, major brand, version, compatible brands.
    # AVIF and HEIC share some major brands, so the compatible brands decide.
    end = min(int.from_bytes(content[:4]), 1024)
    brands = {content[at : at + 4] for at in (8, *range(16, end, 4))}
    return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None


def _loaded_pixels(pixels: PixelData, kind: str) -> Image.Image:
    # In full size: a reduced JPEG does not show whether its last bits are missing.
    picture = _loaded(pixels.content + pixels.endings[0], kind)
    if any(differ(picture, _loaded(pixels.content + ending, kind)) for ending in pixels.endings[1:]):
        raise ValueError("the file ends before its last pixel")
    picture.info.update(pixels.info)
    return picture


def _loaded(content: bytes, kind: str, side: int | None = None) -> Image.Image:
    picture = _open(content, kind)
    check_size(picture.width, picture.height, kind)
    if kind == "JPEG":
        check_scans(content)
    if side is not None:
        picture.draft("RGB", (side, side))  # decodes a large JPEG at 1/2, 1/4 or 1/8 of its size
    picture.load()
    return picture


def _open(content: bytes, kind: str) -> Image.Image:
    """Open the image with the decoder for format ``kind``, without decoding the pixels."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only callers that send an image need it

    if kind != "HEIF":
        try:
            return Image.open(io.BytesIO(content), formats=[kind])
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise too_large(excerpt(str(error)), kind) from error
        except UnidentifiedImageError as error:  # Pillow's message shows only a `BytesIO` object
            raise ValueError(f"the content begins like {kind}, but the rest is invalid") from error
    import pillow_heif  # noqa: PLC0415 - as for Pillow

    file = pillow_heif.open_heif(io.BytesIO(content))
    width, height = file.size
    check_size(width, height, kind)  # before to_pillow decodes it
    picture: Image.Image = file.to_pillow()
    return picture
