"""Conversion of colors to sRGB by the color profile of an image (ICC.1)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageCms

_MOST_CHANGE = 2
"""Maximum change of a channel, of 0..255, that is not visible. Variants of the sRGB profile differ by 1 or 2."""


def srgb_transform(picture: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from the color profile of ``picture`` to sRGB.

    Its ``input_mode`` is the mode to which an image must be converted first: ``RGB``, ``L`` or ``CMYK``. A gray image
    may have a profile for RGB. The result is None if the image has no profile, a damaged profile, or a profile for
    another kind of color than that of its pixels. Such pixels are sRGB, as in browsers.
    """
    content = picture.info.get("icc_profile")
    if not isinstance(content, bytes) or not content:
        return None
    from PIL import ImageCms  # noqa: PLC0415 - only images with a profile need it

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        mode = _input_mode(profile.profile.xcolor_space.strip(), picture.mode)
        if mode is None:
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(profile, srgb, mode, "RGB")
    except (OSError, ValueError):  # the profile is damaged, lacks data, or describes no device
        return None


def _input_mode(space: str, mode: str) -> str | None:
    """Return the input mode of a profile for ``space``; None if it does not apply to images of Pillow's ``mode``."""
    is_gray = mode in {"1", "L", "LA", "La"} or mode.startswith("I;16")
    match space:
        case "RGB" if mode != "CMYK":
            return "RGB"
        case "GRAY" if is_gray:
            return "L"
        case "CMYK" if mode == "CMYK":
            return "CMYK"
        case _:
            return None


def is_in_srgb(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether ``transform`` changes no visible color of ``picture``."""
    from PIL import ImageChops  # noqa: PLC0415 - see above

    converted = transform.apply(picture.convert(transform.input_mode))
    difference = ImageChops.difference(picture.convert("RGB"), converted)
    return difference.point(lambda level: 255 * (level > _MOST_CHANGE)).getbbox() is None
