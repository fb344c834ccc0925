"""A color chart as a start image, and its colors as a received frame shows them."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from odyssey_mock.media.timeline import Size

COLORS = (
    ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)),
    ((0, 255, 255), (255, 0, 255), (255, 255, 0), (128, 128, 128)),
    ((200, 60, 60), (60, 160, 90), (240, 200, 170), (0, 0, 0)),
)
"""The colors of a chart in landscape, by row. A chart in portrait is turned by 90 degrees clockwise."""

CHART = np.array(COLORS, np.int64)


def color_chart(size: Size) -> bytes:
    """Return the chart as a PNG file of `size`, in landscape or portrait."""
    is_portrait = size.width < size.height
    width, height = (size.height, size.width) if is_portrait else (size.width, size.height)
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for row, colors in enumerate(COLORS):
        for column, color in enumerate(colors):
            box = column * width / 4, row * height / 3, (column + 1) * width / 4 - 1, (row + 1) * height / 3 - 1
            draw.rectangle(box, fill=color)
    buffer = io.BytesIO()
    (image.transpose(Image.Transpose.ROTATE_270) if is_portrait else image).save(buffer, "PNG")
    return buffer.getvalue()


def chart_colors(pixels: NDArray[Any]) -> NDArray[np.int64]:  # Any: PyAV's type covers all formats
    """Return the colors that a frame with the whole chart shows, in the order of `CHART`.

    The color of a patch is the median of a box around its middle, because small moving objects cover parts of the
    image. `pixels` is uint8 RGB (height, width, 3). With the overlay `full`, a panel covers some patches, so their
    colors differ.
    """
    is_portrait = pixels.shape[0] > pixels.shape[1]
    upright = np.rot90(pixels) if is_portrait else pixels
    height, width, _ = upright.shape
    shown = np.empty_like(CHART)
    for row, column in np.ndindex(3, 4):
        x, y = round((column + 0.5) * width / 4), round((row + 0.5) * height / 3)
        box = upright[y - height // 12 : y + height // 12, x - width // 16 : x + width // 16].reshape(-1, 3)
        shown[row, column] = np.median(box, axis=0)
    return shown
