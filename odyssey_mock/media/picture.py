"""The image a stream starts from, fitted to its frames."""

import io

from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from odyssey_mock.media.timeline import Size

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF")
"""What the service takes (`protocol.md` section 7), in Pillow's names; a HEIC is a HEIF."""

_GROUND = (24, 26, 34)
"""Behind what is transparent."""

MAX_PIXELS = 89_478_485
"""More than any camera's picture, and where Pillow begins to warn: a small file that unpacks to more is an attack."""

KEPT_BYTES = 1 << 20
"""Up to here an image is remembered as it came; what is larger is remembered as a stream shows it."""

register_heif_opener()


class PictureError(ValueError):
    """The bytes are no image that can be shown."""


def fitted(data: bytes, size: Size) -> Image.Image:
    """Decode an image, turn it upright (EXIF), and scale and crop it around its center to cover `size`, as RGB.

    Raises:
        PictureError: not one of `FORMATS`, damaged, or so large when unpacked that it can only be an attack.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"{opened.width}x{opened.height} is above {MAX_PIXELS:,} pixels")
            # JPEG only, and only ever to at least this size: spares decoding fifty megapixels to show one.
            opened.draft("RGB", (max(size.width, size.height),) * 2)
            solid = _solid(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        # Without its text, which has an address in memory in it.
        raise PictureError(f"expected an image ({', '.join(FORMATS)}), got {len(data)} bytes that are none") from None
    except Exception as error:
        # The decoders of seven formats agree on no exception for damaged bytes (OSError, SyntaxError, EOFError,
        # RuntimeError and more were seen), and all that is done above is decoding.
        raise PictureError(
            f"expected an image ({', '.join(FORMATS)}), got {len(data)} bytes that are none: {error}"
        ) from error
    return ImageOps.fit(solid, (size.width, size.height), Image.Resampling.LANCZOS)


def kept(data: bytes, size: Size) -> bytes:
    """Give the bytes that a stream of `size` has to remember of its image: those given, or fewer that show the same.

    Raises:
        PictureError: as for `fitted`.
    """
    picture = fitted(data, size)
    if len(data) <= KEPT_BYTES:
        return data
    file = io.BytesIO()
    # Quickly: somebody waits for the stream. Without the profile of the original, which `fitted` does not look at.
    picture.save(file, "PNG", compress_level=1, icc_profile=None)
    return min(data, file.getvalue(), key=len)


def _solid(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Sixteen bits of gray, of which Pillow would make white: it clips what is above 255.
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
