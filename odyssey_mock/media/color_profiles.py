"""Conversion of the colors of an image to sRGB by its ICC profile."""

import io

from PIL import Image, ImageCms


def srgb_transform(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from the ICC profile of `image` to sRGB, or None if the pixels are sRGB already.

    The pixels are treated as sRGB if the image has no profile, or if the profile is damaged or does not fit the image.
    An RGB profile fits RGB and gray images, a gray profile fits gray images, and a CMYK profile fits CMYK images.
    Convert the image to the mode `input_mode` of the transform before you apply the transform.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    is_gray = image.mode in {"1", "L", "LA"} or image.mode.startswith("I")
    allowed = {"CMYK": "CMYK"} if image.mode == "CMYK" else {"RGB": "RGB", "GRAY": "L"} if is_gray else {"RGB": "RGB"}
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = allowed.get(opened.profile.xcolor_space.strip())
        if mode is None:
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(opened, srgb, mode, "RGB")
    except (OSError, ValueError):  # the profile is damaged, or describes no device
        return None
