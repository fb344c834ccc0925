"""Tests of the canvas: colors of images, and large shapes that are painted in bands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.canvas import Canvas, Floats, component, yuv
from odyssey_mock.media.planes import Planes
from odyssey_mock.media.timeline import Size

levels = st.integers(0, 255)


@given(st.lists(st.tuples(levels, levels, levels, levels), min_size=1, max_size=6))
def test_image_has_the_colors_of_its_pixels(pixels: list[tuple[int, int, int, int]]) -> None:
    image = np.array([pixels], np.float32)
    for number in (0, 1, 2):
        expected: Floats = yuv(image[..., :3])[..., number]
        np.testing.assert_allclose(component(image, number), expected, atol=0.001)


def painted(size: Size) -> Planes:
    canvas = Canvas(size)
    canvas.gradient(((0.0, (52, 120, 200)), (1.0, (218, 238, 246))))
    canvas.glow(0.4 * size.width, 0.3 * size.height, 0.4 * size.height, (255, 250, 224), 0.5)
    canvas.disc(0.7 * size.width, 0.5 * size.height, 0.2 * size.height, (255, 138, 76))
    x = np.arange(3 * size.width, dtype=np.float32)
    skyline = (0.6 + 0.3 * np.sin(x / 40)).astype(np.float32) * np.float32(size.height)
    canvas.below(skyline, (206, 220, 232), (36, 42, 48), depth=0.2 * size.height)
    return canvas.freeze()


@pytest.mark.parametrize("size", [Size(320, 176), Size(176, 320)])
def test_bands_of_large_shapes_do_not_show(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    in_bands = painted(size)
    monkeypatch.setattr("odyssey_mock.media.canvas._BAND", 10_000)
    for plane, whole in zip(in_bands, painted(size), strict=True):
        np.testing.assert_array_equal(plane, whole)
