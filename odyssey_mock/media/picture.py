"""Functions that decode the start image of a stream, and scale and crop it to the size of the frames.

An image is accepted if its pixels are complete. Metadata that cannot be read is ignored. A missing end is accepted if
no pixel depends on it: the end marker of JPEG, the end chunk of PNG, the padding of BMP. A file that ends before its
last pixel is rejected, even if only one row or one scan is incomplete.

The memory of a call is bounded by `MAX_PIXELS` and `MAX_COSTLY_PIXELS`, to about 512 MB. The pixels are counted before
they are decoded. Every conversion except the decoding itself works on strips of the image, and `AT_ONCE` images are
decoded at the same time.
"""

import io
import threading
from collections.abc import Iterator

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from odyssey_mock.media.color_profiles import srgb_transform
from odyssey_mock.media.picture_metadata import BareFile, bare_file, check_scans
from odyssey_mock.media.timeline import Size
from odyssey_mock.settings import StartImageFit

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF")
"""Formats that the service accepts (`protocol.md` section 7), by Pillow's names; HEIF includes HEIC."""

SERVICE_SHARE = 0.35
"""Share of a start image's area that `service_crop` shows: users report that the service cuts off 60 to 70 %."""

_GROUND = (24, 26, 34)
"""Background of transparent images."""
_BARS = (0, 0, 0)
"""Color of the bars beside a start image that does not fill the frame."""

MAX_PIXELS = 64_000_000
"""Maximum number of pixels of an image, the same as in `odyssey_client`. Decoding needs up to 8 bytes per pixel.

Photos of phones have 12 to 50 megapixels.
"""
COSTLY_FORMATS = frozenset({"WEBP", "AVIF"})
"""Formats whose decoders need more memory: 16 bytes per pixel for WebP, 11 for AVIF."""
MAX_COSTLY_PIXELS = 32_000_000
"""Maximum number of pixels of an image in one of `COSTLY_FORMATS`, the same as in `odyssey_client`."""

AT_ONCE = 2
"""Number of images that are decoded at the same time; calls in other threads wait."""
_slots = threading.BoundedSemaphore(AT_ONCE)

_STRIP_PIXELS = 1 << 20
"""Number of pixels of a strip, which is converted at once."""
_OVERSIZE = 2
"""Large images are first reduced to at least this multiple of the frame, by averaging; then they are scaled."""

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


def fitted(data: bytes, size: Size, fit: StartImageFit = "crop") -> Image.Image:
    """Decode an image file and return it as an RGB image of `size`.

    The image is turned upright (EXIF), scaled and cropped around its center as `fit` says, and converted to sRGB:

    - `crop` covers the frame with as much of the image as possible.
    - `letterbox` shows the whole image, between black bars.
    - `service_crop` shows `SERVICE_SHARE` of the image's area, or the largest share that covers the frame if that is
      smaller.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has too many pixels.
    """
    with _slots:
        return _fitted(data, size, fit)


def _fitted(data: bytes, size: Size, fit: StartImageFit) -> Image.Image:
    try:
        side = _decoding_size(size, fit)
        image = _decoded(data, side)
        transform = srgb_transform(image)
        turn = _turn_of(image)
        solid = _solid(image, "RGB" if transform is None else transform.input_mode, _OVERSIZE * side)
        del image  # frees its memory
        shown = _scaled(solid if turn is None else solid.transpose(turn), size, fit)
        shown = shown if transform is None else transform.apply(shown)
        return shown if fit != "letterbox" else _between_bars(shown, size)
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


def kept(data: bytes, size: Size, fit: StartImageFit = "crop") -> tuple[bytes, StartImageFit]:
    """Return the image file to store for a stream of `size`, and how it fills the frame.

    The result is `data` and `fit`, or a smaller file that produces the same frames: an image that already has the size
    of the frame.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has too many pixels.
    """
    picture = fitted(data, size, fit)
    if len(data) <= KEPT_BYTES:
        return data, fit
    file = io.BytesIO()
    # Fast compression, because a client waits for the stream. No color profile, because the picture is in sRGB.
    picture.save(file, "PNG", compress_level=1, icc_profile=None)
    return (data, fit) if len(data) <= file.tell() else (file.getvalue(), "crop")


def _decoding_size(size: Size, fit: StartImageFit) -> int:
    """Return the minimum width and height in pixels at which an image can be decoded without visible loss of detail."""
    longest = max(size.width, size.height)
    return longest if fit != "service_crop" else round(longest / SERVICE_SHARE)


def _scaled(image: Image.Image, size: Size, fit: StartImageFit) -> Image.Image:
    """Scale and crop `image` to `size`; with `letterbox`, scale it to fit into `size` without cropping."""
    frame = size.width, size.height
    if fit == "letterbox":
        return ImageOps.contain(image, frame, Image.Resampling.LANCZOS)
    if fit == "service_crop":
        image = _center(image, size.width / size.height)
    return ImageOps.fit(image, frame, Image.Resampling.LANCZOS)


def _center(image: Image.Image, ratio: float) -> Image.Image:
    """Return the middle of `image` that has `ratio` (width to height) and `SERVICE_SHARE` of the image's area.

    If a part of this size does not fit into the image, return the largest part of this ratio.
    """
    height = min((SERVICE_SHARE * image.width * image.height / ratio) ** 0.5, image.height, image.width / ratio)
    width, height = max(1, round(height * ratio)), max(1, round(height))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _between_bars(image: Image.Image, size: Size) -> Image.Image:
    frame = Image.new("RGB", (size.width, size.height), _BARS)
    frame.paste(image, ((size.width - image.width) // 2, (size.height - image.height) // 2))
    return frame


def _decoded(data: bytes, side: int) -> Image.Image:
    """Decode the pixels of a file. The image may be reduced, but not below `side` pixels in width or height."""
    try:
        return _loaded(data, side)
    except Exception:  # pixels or metadata are damaged: the second attempt shows which
        bare = bare_file(data)
        if bare is None:
            raise
        return _from_bare(bare)


def _from_bare(bare: BareFile) -> Image.Image:
    image = _loaded(bare.data + bare.endings[0])
    if any(_differ(image, _loaded(bare.data + ending)) for ending in bare.endings[1:]):
        raise ValueError("the file ends before its last pixel")
    image.info.update(bare.info)
    return image


def _loaded(data: bytes, side: int | None = None) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    most = MAX_COSTLY_PIXELS if image.format in COSTLY_FORMATS else MAX_PIXELS
    if image.width * image.height > most:
        raise ValueError(f"expected at most {most:,} pixels, got {image.width}x{image.height}")
    if data.startswith(b"\xff\xd8"):
        check_scans(data)
    if side is not None:
        # Decode a large JPEG at a reduced size, which is faster but large enough.
        image.draft("RGB", (side, side))
    image.load()
    return image


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that turns an image upright; None if it is upright."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many exceptions for damaged EXIF data, which has no orientation
        return None


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes that cover an image from top to bottom; the height of all but the last is a multiple of `factor`."""
    rows = factor * max(1, _STRIP_PIXELS // (image.width * factor))
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _differ(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two images of the same size and mode have different pixels."""
    differences = (ImageChops.difference(one.crop(box), other.crop(box)) for box in _strips(one, 1))
    return any(difference.getbbox(alpha_only=False) is not None for difference in differences)


def _solid(image: Image.Image, mode: str, side: int) -> Image.Image:
    """Convert an image to `mode`, which is `RGB`, `L` or `CMYK`, on a dark background if it is transparent.

    The result may be reduced, but not below `side` pixels in width or height.
    """
    factor = max(1, min(image.width, image.height) // side)
    solid = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for box in _strips(image, factor):
        strip = _solid_strip(image.crop(box), mode)
        solid.paste(strip if factor == 1 else strip.reduce(factor), (0, box[1] // factor))
    return solid


def _solid_strip(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit gray: Pillow would clip values above 255, so the image would become white.
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert(mode)
    ground = Image.new("RGBA", image.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB").convert(mode)
