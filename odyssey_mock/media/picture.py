"""Functions that decode the start image of a stream, and scale and crop it to the size of the frames.

An image is accepted if its pixels are complete. Metadata that cannot be read is ignored. A missing end is accepted if
no pixel depends on it: the end marker of JPEG, the end chunk of PNG, the padding of BMP. A file that ends before its
last pixel is rejected, even if only one row or one scan is incomplete.
"""

import io

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from odyssey_mock.media.color_profiles import srgb_transform
from odyssey_mock.media.picture_metadata import BareFile, bare_file
from odyssey_mock.media.timeline import Size

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF")
"""Formats that the service accepts (`protocol.md` section 7), by Pillow's names; HEIF includes HEIC."""

_GROUND = (24, 26, 34)
"""Background of transparent images."""

MAX_PIXELS = 89_478_485
"""Maximum number of pixels of an image, above which Pillow warns of a decompression bomb."""

KEPT_BYTES = 1 << 20
"""Image files of at most this many bytes are stored unchanged; `kept` tries to make larger files smaller."""

_ORIENTATION = 0x0112
"""The EXIF tag whose value is a key of `_TURNS`, or 1 for an upright image."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

register_heif_opener()


class PictureError(ValueError):
    """An image file cannot be decoded. The message states the formats that were expected, and the reason."""


def fitted(data: bytes, size: Size) -> Image.Image:
    """Decode an image file and return it as an RGB image of `size`.

    The image is turned upright (EXIF), scaled to cover `size`, cropped around its center, and converted to sRGB.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has more than `MAX_PIXELS` pixels.
    """
    try:
        image = _decoded(data, size)
        transform = srgb_transform(image)
        solid = _solid(_upright(image), "RGB" if transform is None else transform.input_mode)
        shown = ImageOps.fit(solid, (size.width, size.height), Image.Resampling.LANCZOS)
        return shown if transform is None else transform.apply(shown)
    except UnidentifiedImageError:
        # Leave out Pillow's message, which contains a memory address.
        raise PictureError(
            f"expected an image ({', '.join(FORMATS)}), got {len(data)} bytes that cannot be decoded"
        ) from None
    except Exception as error:
        # The decoders of the seven formats raise many exceptions for damaged bytes (OSError, SyntaxError, EOFError,
        # RuntimeError and more), and the code above only decodes.
        raise PictureError(
            f"expected an image ({', '.join(FORMATS)}), got {len(data)} bytes that cannot be decoded: {error}"
        ) from error


def kept(data: bytes, size: Size) -> bytes:
    """Return the image file to store for a stream of `size`: `data`, or a smaller file that produces the same frames.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has more than `MAX_PIXELS` pixels.
    """
    picture = fitted(data, size)
    if len(data) <= KEPT_BYTES:
        return data
    file = io.BytesIO()
    # Fast compression, because a client waits for the stream. No color profile, because the picture is in sRGB.
    picture.save(file, "PNG", compress_level=1, icc_profile=None)
    return min(data, file.getvalue(), key=len)


def _decoded(data: bytes, size: Size) -> Image.Image:
    """Decode the pixels of a file, at a reduced size if that is larger than `size`."""
    try:
        return _loaded(data, size)
    except Exception:  # of the pixels or of the metadata: only the second attempt tells which
        bare = bare_file(data)
        if bare is None:
            raise
        return _from_bare(bare)


def _from_bare(bare: BareFile) -> Image.Image:
    image, *others = [_loaded(bare.data + ending) for ending in bare.endings]
    if any(ImageChops.difference(image, other).getbbox(alpha_only=False) is not None for other in others):
        raise ValueError("the file ends before its last pixel")
    image.info.update(bare.info)
    return image


def _loaded(data: bytes, size: Size | None = None) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} is above {MAX_PIXELS:,} pixels")
    if size is not None:
        # Decode a large JPEG at a reduced size, which is faster but large enough.
        image.draft("RGB", (max(size.width, size.height),) * 2)
    image.load()
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many exceptions for damaged EXIF data, which has no orientation
        turn = None
    return image if turn is None else image.transpose(turn)


def _solid(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image to `mode`, which is `RGB`, `L` or `CMYK`, on a dark background if it is transparent."""
    if image.mode.startswith("I"):
        # 16-bit gray: Pillow would clip values above 255, so the image would become white.
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert(mode)
    ground = Image.new("RGBA", image.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB").convert(mode)
