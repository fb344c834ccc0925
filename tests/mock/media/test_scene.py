"""Tests that a rendered frame depends only on its timeline and index, and that a scene shows its prompt and moves."""

import hashlib
import io
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from itertools import pairwise
from typing import get_args

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pillow_heif import register_heif_opener

from odyssey_mock.media.encoder import Codec
from odyssey_mock.media.frame_encoder import drawn
from odyssey_mock.media.look import Look
from odyssey_mock.media.palette import Hour, Land, Weather
from odyssey_mock.media.picture import PictureError
from odyssey_mock.media.planes import planes_of
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp
from odyssey_mock.media.timeline import Size, Timeline, TimelineError
from odyssey_mock.settings import Fonts, Overlay
from tests.support.color_chart import CHART, chart_colors, color_chart
from tests.support.hash_seeds import other_hash_seed
from tests.support.image_files import png_chunk, png_end

PORTRAIT, LANDSCAPE, SMALL = Size(704, 1280), Size(1280, 704), Size(176, 320)
SIZES = [PORTRAIT, LANDSCAPE, SMALL, Size(320, 176), Size(88, 160), Size(160, 88), Size(400, 400), Size(176, 900)]

register_heif_opener()


def stream(
    prompt: str = "A calm sea at sunset", *, size: Size = SMALL, image: bytes | None = None, look: Look | None = None
) -> Timeline:
    return Timeline(tag=0x3F2A, size=size, prompt=prompt, image=image, look=look or Look())


def digest(frame: av.VideoFrame) -> str:
    return hashlib.sha256(b"".join(plane.tobytes() for plane in planes_of(frame))).hexdigest()


def luma(timeline: Timeline, index: int) -> NDArray[np.int16]:
    return planes_of(Renderer(timeline).render(index)).y.astype(np.int16)


def encoded(form: str, color: tuple[int, ...] = (200, 40, 40), size: tuple[int, int] = (300, 200)) -> bytes:
    data = io.BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(data, form)
    return data.getvalue()


def test_pixels_are_the_same_in_every_process() -> None:
    program = (
        "import hashlib\n"
        "from odyssey_mock.media.scene import Renderer\nfrom odyssey_mock.media.timeline import Size, Timeline\n"
        "from odyssey_mock.media.planes import planes_of\n"
        "timeline = Timeline(tag=0x3F2A, size=Size(176, 320), prompt='A snowy city under a cloudy sky')\n"
        "timeline.interact(5, 'Night falls')\n"
        "for index in (0, 6, 40):\n"
        "    planes = planes_of(Renderer(timeline).render(index))\n"
        "    print(hashlib.sha256(b''.join(plane.tobytes() for plane in planes)).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": other_hash_seed()},
        capture_output=True,
        check=True,
        text=True,
    )
    timeline = stream("A snowy city under a cloudy sky")
    timeline.interact(5, "Night falls")
    here = "".join(f"{digest(Renderer(timeline).render(index))}\n" for index in (0, 6, 40))
    assert other.stdout == here


@given(indexes=st.lists(st.integers(0, 60), min_size=2, max_size=8))
@settings(max_examples=6)
def test_frames_may_be_rendered_in_any_order(indexes: list[int]) -> None:
    timeline = stream()
    for index in (10, 15, 40, 41):
        timeline.interact(index, f"change number {index}")
    renderer = Renderer(timeline)
    for index in indexes:
        assert digest(renderer.render(index)) == digest(Renderer(timeline).render(index))


def test_interaction_does_not_change_earlier_frames() -> None:
    plain, changed = stream(), stream()
    changed.interact(10, "It snows")
    assert digest(Renderer(plain).render(9)) == digest(Renderer(changed).render(9))
    assert digest(Renderer(plain).render(10)) != digest(Renderer(changed).render(10))


def test_caller_may_overwrite_a_frame() -> None:
    renderer = Renderer(stream())
    first = renderer.render(0)
    expected = digest(first)
    for plane in planes_of(first):
        plane[:] = 0
    assert digest(renderer.render(0)) == expected


@pytest.mark.parametrize("prompt", ["A desert at noon", "A forest at night in the rain", "planets", ""])
def test_every_frame_differs_from_the_previous_one(prompt: str) -> None:
    renderer = Renderer(stream(prompt, size=PORTRAIT))
    seen = [digest(renderer.render(index)) for index in range(90)]
    assert len(set(seen)) == len(seen)


def test_scenery_moves_and_not_only_the_clock() -> None:
    timeline = stream("A cloudy sea by day", size=PORTRAIT)
    moved = np.abs(luma(timeline, 20) - luma(timeline, 0)) > 8
    assert moved[:900].sum() > 2000


def test_most_pixels_stay_the_same_between_frames() -> None:
    timeline = stream("A snowy city at night", size=PORTRAIT)
    assert (luma(timeline, 21) != luma(timeline, 20)).mean() < 0.1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_frame_has_the_requested_size_and_format(size: Size) -> None:
    frame = Renderer(stream(size=size)).render(3)
    assert (frame.width, frame.height, frame.format.name) == (size.width, size.height, "yuv420p")


@given(
    prompt=st.text(st.characters(codec=None), max_size=80),
    size=st.sampled_from(SIZES[2:]),
    fonts=st.sampled_from(get_args(Fonts.__value__)),
)
@settings(max_examples=40)
def test_any_unicode_text_is_a_valid_prompt(prompt: str, size: Size, fonts: Fonts) -> None:
    timeline = stream(prompt, size=size, look=Look(fonts=fonts))
    timeline.interact(1, prompt[::-1])
    renderer = Renderer(timeline)
    renderer.render(0)
    renderer.render(1)


def test_prompt_of_a_megabyte_is_rendered() -> None:
    assert Renderer(stream("snow " * 200_000)).render(0).width == SMALL.width


@pytest.mark.parametrize("land", get_args(Land.__value__))
@pytest.mark.parametrize("hour", get_args(Hour.__value__))
def test_every_scene_stays_within_video_levels(land: str, hour: str) -> None:
    for weather in get_args(Weather.__value__):
        for size in (SMALL, Size(320, 176)):
            planes = planes_of(Renderer(stream(f"{land}, {hour}, {weather}", size=size)).render(2))
            assert 16 <= planes.y.min() <= planes.y.max() <= 235
            deviation = planes.y.std()
            assert deviation > 4, f"expected a standard deviation of the luma above 4 levels, got {deviation:.1f}"


def test_words_of_a_prompt_choose_the_scene() -> None:
    day, night = (luma(stream(f"hills by {hour}"), 0)[:160].mean() for hour in ("day", "night"))
    assert day > night + 60


def test_similar_prompts_give_different_scenes() -> None:
    assert (luma(stream("a cat sleeps"), 0) != luma(stream("a dog sleeps"), 0)).mean() > 0.2


def test_prompt_is_written_on_the_frame() -> None:
    one, other = stream("hills", size=PORTRAIT), stream("hills", size=PORTRAIT)
    one.interact(0, "first words")
    other.interact(0, "other words")
    ink = luma(one, 60)[900:] - luma(other, 60)[900:]
    assert (np.abs(ink) > 120).sum() > 100


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE, SMALL], ids=str)
def test_interaction_is_visible_from_its_first_frame_on(size: Size) -> None:
    plain, changed = stream("Green hills by day", size=size), stream("Green hills by day", size=size)
    changed.interact(30, "Night falls")
    difference = [np.abs(luma(changed, index) - luma(plain, index)) > 24 for index in (29, 30, 45, 90)]
    assert not difference[0].any()
    assert difference[1].mean() > 0.05
    assert difference[2].mean() > 0.5
    assert difference[3].mean() > 0.5


def test_interaction_without_known_words_is_visible() -> None:
    plain, changed = stream("Green hills by day", size=PORTRAIT), stream("Green hills by day", size=PORTRAIT)
    changed.interact(30, "xyzzy")
    pixels = (np.abs(luma(changed, 90)[:900] - luma(plain, 90)[:900]) > 24).sum()
    assert pixels > 1500, f"expected the interaction to change more than 1500 pixels of the sky, got {pixels}"


def test_repeated_interaction_is_visible_every_time() -> None:
    timeline = stream("Green hills by day", size=PORTRAIT)
    for revision in range(1, 10):
        timeline.interact(40 * revision, "again")
    renderer = Renderer(timeline)
    before = [planes_of(renderer.render(40 * revision - 1)).u.astype(int) for revision in range(1, 10)]
    for earlier, later in pairwise(before):
        assert (earlier != later).sum() > 500


def test_last_interaction_in_a_frame_is_shown() -> None:
    timeline = stream("Green hills by day")
    timeline.interact(10, "Night falls")
    timeline.interact(10, "A desert at dawn")
    late = stream("Green hills by day")
    late.interact(10, "Night falls")
    assert digest(Renderer(timeline).render(10)) != digest(Renderer(late).render(10))


def test_renderer_keeps_only_a_few_scenes() -> None:
    timeline = stream()
    for index in range(1, 40):
        timeline.interact(index, f"change {index}")
    renderer = Renderer(timeline)
    for index in range(40):
        renderer.render(index)
    assert len(renderer._bases) <= 3
    assert len(renderer._guests) <= 6


def test_idle_scene_moves_only_a_little() -> None:
    renderer = Renderer(Timeline(tag=None, size=PORTRAIT))
    first, later = (planes_of(renderer.render(index)).y.astype(int) for index in (0, 20))
    assert 0 < (np.abs(first - later) > 8).mean() < 0.05


def test_frame_past_the_end_is_rejected() -> None:
    timeline = stream()
    timeline.end(5)
    with pytest.raises(TimelineError):
        Renderer(timeline).render(5)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF"])
def test_start_image_becomes_the_scene(form: str) -> None:
    image = planes_of(Renderer(stream("xyzzy", image=encoded(form))).render(0))
    luma_of_red = 16 + (65.738 * 200 + 129.057 * 40 + 25.064 * 40) / 256
    upper = image.y[:200].astype(float)
    assert abs(np.median(upper) - luma_of_red) < 4
    assert np.median(image.v[:100]) > 170, (
        f"expected a red frame, with a median V above 170, got {np.median(image.v[:100])}"
    )


@pytest.mark.parametrize("prompt", ["xyzzy", "A golden sunset on mars", "midnight", "dawn", "a bright day", "it rains"])
def test_start_image_keeps_its_colors_with_every_prompt(prompt: str) -> None:
    timeline = stream(prompt, size=PORTRAIT, image=color_chart(PORTRAIT), look=Look(overlay="stamp"))
    timeline.interact(10, "make it night")
    timeline.interact(20, "make it sunset")
    renderer = Renderer(timeline)
    for index in (0, 60):
        shown = chart_colors(renderer.render(index).to_ndarray(format="rgb24"))
        assert np.abs(shown - CHART).max() <= 3, (
            f"frame {index}: expected the colors of the chart {CHART.tolist()}, got {shown.tolist()}"
        )


@pytest.mark.parametrize(
    ("prompt", "most"), [("Birds over hills by day", 0.002), ("clouds", 0.002), ("it snows", 0.01), ("it rains", 0.01)]
)
@pytest.mark.parametrize("color", [(60, 160, 90), (0, 0, 0)], ids=str)
def test_only_lights_and_weather_cover_start_images(prompt: str, most: float, color: tuple[int, ...]) -> None:
    image = encoded("PNG", color, (PORTRAIT.width, PORTRAIT.height))
    renderer = Renderer(stream(prompt, size=PORTRAIT, image=image, look=Look(overlay="none")))
    for index in (0, 40):
        shown = renderer.render(index).to_ndarray(format="rgb24").astype(int)
        changed = (np.abs(shown - color).max(axis=2) > 6).mean()
        assert 0 < changed < most, (
            f"frame {index}: expected a fraction of changed pixels above 0 and below {most}, got {changed:.4f}"
        )


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_start_image_keeps_its_colors_in_encoded_video(codec: Codec, size: Size) -> None:
    frame_encoder = drawn(stream("sunset", size=size, image=color_chart(size), look=Look(overlay="stamp")), 1_500_000)
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    frames: list[av.VideoFrame] = []
    for index in range(8):
        stamp = FrameStamp(stream_tag=7, frame_index=index, prompt_revision=0, sent_at_ms=0)
        packet = frame_encoder.make(stamp, index, {codec}, keyframe=False).packets[codec]
        frames += decoder.decode(av.Packet(bytes(packet)))
    frames += decoder.decode(None)
    frame_encoder.close()
    shown = chart_colors(frames[-1].to_ndarray(format="rgb24"))
    assert np.abs(shown - CHART).max() <= 6, f"expected the colors of the chart {CHART.tolist()}, got {shown.tolist()}"


@pytest.mark.parametrize("overlay", get_args(Overlay.__value__))
def test_interaction_with_a_start_image_is_visible(overlay: Overlay) -> None:
    timeline = stream("xyzzy", size=PORTRAIT, image=color_chart(PORTRAIT), look=Look(overlay=overlay))
    timeline.interact(10, "a balloon")
    renderer = Renderer(timeline)
    before, after = (renderer.render(index).to_ndarray(format="rgb24")[:800].astype(int) for index in (9, 60))
    changed = int((np.abs(after - before).max(axis=2) > 30).sum())
    assert changed > 2000, f"expected more than 2000 changed pixels above the panel, got {changed}"


@pytest.mark.parametrize("tag", [7, None], ids=["stream", "idle"])
@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
def test_only_the_full_overlay_has_a_panel(size: Size, tag: int | None) -> None:
    full, only_stamp, bare = (
        Renderer(Timeline(tag=tag, size=size, prompt="A sea", look=Look(overlay=overlay)))
        for overlay in ("full", "stamp", "none")
    )
    picture, panel = bare.render(3), full.render(3)
    assert digest(only_stamp.render(3)) == digest(picture)
    differs = planes_of(picture).y != planes_of(panel).y
    lines, columns = np.nonzero(differs)
    # The panel is at the lower left.
    assert lines.min() > 0.5 * size.height
    assert differs[lines.min() :].mean() > 0.15
    assert columns.max() < size.width - 20
    assert (full.has_stamp, only_stamp.has_stamp, bare.has_stamp) == (True, True, False)


def test_start_image_is_center_cropped() -> None:
    image = Image.new("RGB", (1000, 100), (0, 0, 0))
    image.paste((255, 255, 255), (480, 0, 520, 100))
    data = io.BytesIO()
    image.save(data, "PNG")
    upper = luma(stream("xyzzy", image=data.getvalue()), 0)[:200]
    median = np.median(upper[:, 70:100])
    assert median > 200, f"expected white, with a median luma above 200, in the center of the frame; got {median}"
    assert np.median(upper[:, :4]) < 40


def test_start_image_follows_its_exif_orientation() -> None:
    image = Image.new("RGB", (400, 200), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 200, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF orientation: the right side of the stored pixels is the bottom
    data = io.BytesIO()
    image.save(data, "JPEG", exif=exif)
    shown = luma(stream("xyzzy", image=data.getvalue()), 0)
    assert np.median(shown[:120]) > 200 > 60 > np.median(shown[200:240, :10])


def test_transparent_pixels_are_dark() -> None:
    assert np.median(luma(stream("xyzzy", image=encoded("PNG", (255, 255, 255, 0))), 0)[:200]) < 60


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF"])
@given(data=st.data())
@settings(max_examples=12)
def test_damaged_image_is_shown_or_rejected(form: str, data: st.DataObject) -> None:
    image = bytearray(encoded(form, size=(32, 24)))
    for place in data.draw(st.lists(st.integers(0, len(image) - 1), min_size=1, max_size=6)):
        image[place] = data.draw(st.integers(0, 255))
    with suppress(PictureError):
        Renderer(stream(size=Size(88, 160), image=bytes(image))).render(0)


@pytest.mark.parametrize("data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0", encoded("TIFF"), encoded("ICO")])
def test_unknown_image_format_is_rejected(data: bytes) -> None:
    with pytest.raises(PictureError, match=r"expected an image \(JPEG, .* got \d+ bytes"):
        Renderer(stream(image=data)).render(0)


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        (8_001, "expected at most 64,000,000 pixels, got 8001x8001"),
        (20_000, "exceeds limit of .* pixels"),  # Pillow has a limit of its own
    ],
)
def test_image_with_too_many_pixels_is_rejected(side: int, reason: str) -> None:
    size = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    # The mock rejects the image before it decodes the pixels, so the file contains only one row.
    row = png_chunk(b"IDAT", zlib.compress(bytes(1 + (side + 7) // 8)))
    with pytest.raises(PictureError, match=reason):
        Renderer(stream(image=b"\x89PNG\r\n\x1a\n" + size + row + png_end())).render(0)
