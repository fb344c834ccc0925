"""Tests that stamps survive lossy coding and rescaling, and that nothing else is read as a stamp."""

from collections.abc import Callable

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from odyssey_mock.media.encoder import Codec, VideoEncoder
from odyssey_mock.media.planes import planes_of
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline

type Pixels = NDArray[np.uint8]

PORTRAIT, LANDSCAPE = Size(704, 1280), Size(1280, 704)
DECODERS: dict[Codec, str] = {"h264": "h264", "vp8": "libvpx"}

inside = st.builds(
    FrameStamp,
    stream_tag=st.integers(0, 2**16 - 1),
    frame_index=st.integers(0, 2**32 - 1),
    prompt_revision=st.integers(0, 2**24 - 1),
    sent_at_ms=st.integers(0, 2**48 - 1),
)
outside = st.builds(
    FrameStamp,
    stream_tag=st.none(),
    frame_index=st.integers(0, 2**32 - 1),
    prompt_revision=st.none(),
    sent_at_ms=st.integers(0, 2**48 - 1),
)
stamps = inside | outside
sizes = (
    st.tuples(st.integers(44, 700), st.integers(44, 700))
    .map(lambda s: (s[0] * 2, s[1] * 2))
    .filter(lambda s: min(s) >= 88 and max(s) >= 160)
)
EXAMPLE = FrameStamp(stream_tag=0x3F2A, frame_index=247, prompt_revision=2, sent_at_ms=1_790_000_000_123)


def blank(width: int, height: int, level: int = 90) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in planes_of(frame):
        plane[:] = level
    return frame


def stamped(stamp: FrameStamp, width: int = 704, height: int = 1280, level: int = 90) -> av.VideoFrame:
    frame = blank(width, height, level)
    draw_stamp(frame, stamp)
    return frame


def pixels(frame: av.VideoFrame, form: str = "rgb24") -> Pixels:
    return frame.to_ndarray(format=form).astype(np.uint8, copy=False)


def scaled(image: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("form", ["rgb24", "gray"])
@given(stamp=stamps, size=sizes, level=st.integers(0, 255))
@settings(max_examples=60)
def test_stamp_is_read_from_any_size_and_background(
    form: str, stamp: FrameStamp, size: tuple[int, int], level: int
) -> None:
    assert read_stamp(pixels(stamped(stamp, *size, level), form)) == stamp


@given(stamp=stamps, portrait=st.booleans(), share=st.floats(0.5, 2.0))
@settings(max_examples=15)
def test_stamp_survives_scaling_there_and_back(stamp: FrameStamp, portrait: bool, share: float) -> None:
    size = PORTRAIT if portrait else LANDSCAPE
    image = pixels(stamped(stamp, size.width, size.height))
    other = scaled(image, round(size.width * share), round(size.height * share))
    assert read_stamp(other) == stamp
    assert read_stamp(scaled(other, size.width, size.height)) == stamp


def test_stamp_survives_a_change_of_aspect_ratio() -> None:
    assert read_stamp(scaled(pixels(stamped(EXAMPLE)), 480, 1000)) == EXAMPLE


@pytest.fixture(scope="module")
def scene() -> Callable[[Size, int], av.VideoFrame]:
    """Return a function that renders a frame of a scene with many moving parts."""
    renderers = {
        size: Renderer(Timeline(tag=1, size=size, prompt="A snowy city at night")) for size in (PORTRAIT, LANDSCAPE)
    }
    return lambda size, index: renderers[size].render(index)


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
@pytest.mark.parametrize("codec", ["h264", "vp8"])
@given(stamp=stamps, bitrate=st.integers(250_000, 1_500_000))
@settings(max_examples=4)
def test_stamp_survives_coding_halving_and_doubling(
    scene: Callable[[Size, int], av.VideoFrame], size: Size, codec: Codec, stamp: FrameStamp, bitrate: int
) -> None:
    encoder = VideoEncoder(codec, size, 20, bitrate)
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    for index in range(4):
        drawn = FrameStamp(
            stream_tag=stamp.stream_tag,
            frame_index=(stamp.frame_index + index) % 2**32,
            prompt_revision=stamp.prompt_revision,
            sent_at_ms=stamp.sent_at_ms,
        )
        frame = scene(size, index)
        draw_stamp(frame, drawn)
        (decoded,) = decoder.decode(av.Packet(bytes(encoder.encode(frame, index))))
        image = pixels(decoded)
        half = scaled(image, size.width // 2, size.height // 2)
        assert [read_stamp(image), read_stamp(half), read_stamp(scaled(half, size.width, size.height))] == [drawn] * 3
        assert read_stamp(pixels(decoded, "gray")) == drawn
    encoder.close()


@given(contrast=st.floats(0.3, 1.0), lift=st.integers(0, 70))
@settings(max_examples=30)
def test_stamp_survives_changed_contrast_and_brightness(contrast: float, lift: int) -> None:
    image = pixels(stamped(EXAMPLE)).astype(np.float64)
    assert read_stamp(np.clip(image * contrast + lift, 0, 255).astype(np.uint8)) == EXAMPLE


@given(stamp=stamps, cells=st.sets(st.tuples(st.integers(0, 1), st.integers(0, 87)), min_size=1, max_size=3))
@settings(max_examples=50)
def test_up_to_three_wrong_cells_are_detected(stamp: FrameStamp, cells: set[tuple[int, int]]) -> None:
    image = pixels(stamped(stamp), "gray").copy()
    for row, column in cells:
        cell = image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        cell[:] = 255 - cell
    assert read_stamp(image) is None


def test_unstamped_scene_has_no_stamp(scene: Callable[[Size, int], av.VideoFrame]) -> None:
    for size in (PORTRAIT, LANDSCAPE):
        assert read_stamp(pixels(scene(size, 0))) is None


@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_uniform_image_has_no_stamp(level: int) -> None:
    assert read_stamp(np.full((1280, 704, 3), level, np.uint8)) is None


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_noise_has_no_stamp(seed: int) -> None:
    noise = np.random.default_rng(seed)
    for _ in range(50):
        assert read_stamp(noise.integers(0, 256, (160, 88), np.uint8)) is None


def test_random_cells_between_syncs_are_rejected() -> None:
    """Random cells between correct sync marks look like a valid stamp with a probability of 2 in 2**24."""
    image = pixels(stamped(EXAMPLE, 88, 160), "gray").copy()
    noise = np.random.default_rng(1)
    passed = 0
    for _ in range(5000):
        image[:2, 8:80] = noise.choice(np.array([16, 235], np.uint8), (2, 72))
        passed += read_stamp(image) is not None
    assert passed == 0


def test_drawing_changes_only_the_stamp_area() -> None:
    for size, left in ((PORTRAIT, 0), (LANDSCAPE, 288)):
        frame = blank(size.width, size.height)
        draw_stamp(frame, EXAMPLE)
        luma, *chroma = planes_of(frame)
        changed = luma != 90
        assert changed[:16, left : left + 704].all()
        changed[:16, left : left + 704] = False
        assert not changed.any()
        for plane in chroma:
            assert (plane[:8, left // 2 : left // 2 + 352] == 128).all()
            assert (plane == 90).sum() == plane.size - 8 * 352


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((1280, 704, 3), np.float32), TypeError),
        (np.zeros((1280, 704, 3), np.uint16), TypeError),
        ([[0, 0], [0, 0]], TypeError),
        (None, TypeError),
        (np.zeros((1280, 704, 4), np.uint8), ValueError),
        (np.zeros((2, 1280, 704, 3), np.uint8), ValueError),
        (np.zeros((704,), np.uint8), ValueError),
    ],
    ids=["float", "16 bits", "list", "None", "four channels", "several frames", "a line"],
)
def test_reading_an_invalid_image_raises_an_error(image: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        read_stamp(image)  # type: ignore[arg-type]  # an untyped caller can pass it


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 704), (159, 88), (160, 87), (2, 2, 3)])
def test_too_small_image_has_no_stamp(shape: tuple[int, ...]) -> None:
    assert read_stamp(np.zeros(shape, np.uint8)) is None


def test_drawing_rejects_small_or_non_yuv420p_frames() -> None:
    with pytest.raises(ValueError, match=r"at least 88x160 .* got 86x160"):
        draw_stamp(blank(86, 160), EXAMPLE)
    with pytest.raises(ValueError, match=r"yuv420p .* got rgb24"):
        draw_stamp(av.VideoFrame(704, 1280, "rgb24"), EXAMPLE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream_tag", 2**16),
        ("stream_tag", -1),
        ("frame_index", 2**32),
        ("frame_index", -1),
        ("prompt_revision", 2**24),
        ("sent_at_ms", 2**48),
        ("sent_at_ms", -1),
    ],
)
def test_number_that_does_not_fit_is_rejected(field: str, value: int) -> None:
    fields = {"stream_tag": 1, "frame_index": 1, "prompt_revision": 1, "sent_at_ms": 1} | {field: value}
    with pytest.raises(ValueError, match=f"expected {field} .* got {value}"):
        FrameStamp(**fields)


def test_tag_and_revision_must_be_given_together() -> None:
    with pytest.raises(ValueError, match=r"both .* or neither"):
        FrameStamp(stream_tag=1, frame_index=0, prompt_revision=None, sent_at_ms=0)
    with pytest.raises(ValueError, match=r"both .* or neither"):
        FrameStamp(stream_tag=None, frame_index=0, prompt_revision=0, sent_at_ms=0)
