"""Functions that decode the start image of a stream, and scale and crop it to the size of the frames."""

import io

from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from odyssey_mock.media.timeline import Size

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF")
"""Formats that the service accepts (`protocol.md` section 7), by Pillow's names; HEIF includes HEIC."""

_GROUND = (24, 26, 34)
"""Background of transparent images."""

MAX_PIXELS = 89_478_485
"""Maximum number of pixels of an image, above which Pillow warns of a decompression bomb."""

KEPT_BYTES = 1 << 20
"""Image files of at most this many bytes are stored unchanged; `kept` tries to make larger files smaller."""

register_heif_opener()


class PictureError(ValueError):
    """An image file cannot be decoded. The message states the formats that were expected, and the reason."""


def fitted(data: bytes, size: Size) -> Image.Image:
    """Decode an image file and return it as an RGB image of `size`.

    The image is turned upright (EXIF), scaled to cover `size`, and cropped around its center.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has more than `MAX_PIXELS` pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"{opened.width}x{opened.height} is above {MAX_PIXELS:,} pixels")
            # Only JPEG supports this: decode large images at a reduced size, which is faster but large enough.
            opened.draft("RGB", (max(size.width, size.height),) * 2)
            solid = _solid(ImageOps.exif_transpose(opened))
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
    return ImageOps.fit(solid, (size.width, size.height), Image.Resampling.LANCZOS)


def kept(data: bytes, size: Size) -> bytes:
    """Return the image file to store for a stream of `size`: `data`, or a smaller file that produces the same frames.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has more than `MAX_PIXELS` pixels.
    """
    picture = fitted(data, size)
    if len(data) <= KEPT_BYTES:
        return data
    file = io.BytesIO()
    # Fast compression, because a client waits for the stream. No color profile, because `fitted` ignores it.
    picture.save(file, "PNG", compress_level=1, icc_profile=None)
    return min(data, file.getvalue(), key=len)


def _solid(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit gray: Pillow would clip values above 255, so the image would become white.
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
