"""Tests that the recorded files of a stream contain every frame at the right time and play in any player."""

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from odyssey_mock.media.film import TICKS, Film
from odyssey_mock.media.look import Look
from odyssey_mock.media.picture import PictureError
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline, TimelineError
from odyssey_mock.settings import Overlay
from tests.support.ffprobe import probe
from tests.support.recordings import decoded, stamps

PORTRAIT, LANDSCAPE, SMALL = Size(704, 1280), Size(1280, 704), Size(176, 320)
STARTED = 1_790_000_000.25


def go_on() -> None:
    """Do nothing: this checkpoint never stops the writing of a film."""


def film(frames: int, *changes: int, size: Size = SMALL, fps: int = 20, image: bytes | None = None) -> Film:
    """Return a film of `frames` frames with an interaction at each frame index in `changes`."""
    timeline = Timeline(tag=7, size=size, fps=fps, prompt="A snowy city at night", image=image)
    for revision, index in enumerate(changes, 1):
        timeline.interact(index, f"Lantern number {revision} goes up")
    timeline.end(frames)
    return Film(timeline, STARTED)


def boxes(content: bytes) -> list[str]:
    """Return the types of the top-level boxes of an MP4 file (ISO/IEC 14496-12 section 4.2)."""
    found, place = [], 0
    while place < len(content):
        found.append(content[place + 4 : place + 8].decode())
        place += int.from_bytes(content[place : place + 4])
    return found


@pytest.mark.parametrize(
    ("size", "fps", "frames"),
    [
        (SMALL, 20, 1),
        (SMALL, 20, 50),
        (SMALL, 30, 100),
        (SMALL, 7, 10),
        (SMALL, 1, 3),
        (Size(178, 322), 20, 3),
        (PORTRAIT, 20, 25),
        (LANDSCAPE, 20, 25),
    ],
    ids=str,
)
def test_ffprobe_agrees_with_the_timeline(tmp_path: Path, size: Size, fps: int, frames: int) -> None:
    film(frames, size=size, fps=fps).write_video(path := tmp_path / "film.mp4", go_on)
    stream, container = probe(path)
    assert int(stream["nb_read_frames"]) == int(stream["nb_frames"]) == frames
    assert stream["duration"] == container["duration"] == f"{frames / fps:.6f}"
    assert float(stream["start_time"]) == float(container["start_time"]) == 0
    assert stream["avg_frame_rate"] == stream["r_frame_rate"] == f"{fps}/1"
    assert (stream["width"], stream["height"]) == (size.width, size.height)
    assert (stream["codec_name"], stream["profile"], stream["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert {stream[name] for name in ("color_space", "color_transfer", "color_primaries")} == {"smpte170m"}
    assert stream["color_range"] == "tv"
    assert stream["has_b_frames"] == 0, f"expected no B-frames, got {stream['has_b_frames']} in a row"


@given(frames=st.integers(1, 30), data=st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_video_contains_every_frame_with_its_stamp(tmp_path: Path, frames: int, data: st.DataObject) -> None:
    changes = sorted(data.draw(st.lists(st.integers(0, frames), max_size=4)))
    film(frames, *changes).write_video(path := tmp_path / "film.mp4", go_on)
    assert stamps(path) == [
        FrameStamp(7, index, sum(change <= index for change in changes), round(STARTED * 1000) + 50 * index)
        for index in range(frames)
    ]


@pytest.mark.parametrize(("overlay", "has_stamp"), [("full", True), ("stamp", True), ("none", False)])
def test_files_have_the_overlay_of_the_stream(tmp_path: Path, overlay: Overlay, has_stamp: bool) -> None:
    timeline = Timeline(tag=7, size=PORTRAIT, prompt="A calm sea", look=Look(overlay=overlay))
    timeline.end(3)
    made = Film(timeline, STARTED)
    video, preview, thumbnail = (tmp_path / name for name in ("video.mp4", "preview.mp4", "thumbnail.jpg"))
    made.write_video(video, go_on)
    made.write_preview(preview, go_on)
    made.write_thumbnail(thumbnail, go_on)
    expected = Renderer(timeline).render(1).to_ndarray(format="rgb24")[-400:].astype(float)
    assert [stamp is not None for stamp in (*stamps(video), *stamps(preview))] == [has_stamp] * 6
    shown = Image.open(thumbnail)
    assert (read_stamp(np.asarray(shown)) is not None) == has_stamp
    # The lower part has the panel, or none.
    lower = np.asarray(shown.resize((704, 1280)))[-400:].astype(float)
    assert np.abs(lower - expected).mean() < 4
    assert np.abs([*decoded(video)][1][-400:] - expected).mean() < 4


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
def test_full_size_video_looks_like_the_stream(tmp_path: Path, size: Size) -> None:
    made = film(12, 5, size=size)
    made.write_video(path := tmp_path / "film.mp4", go_on)
    renderer = Renderer(made.timeline)
    for index, picture in enumerate(decoded(path)):
        stamp = read_stamp(picture)
        assert stamp is not None
        assert (stamp.frame_index, stamp.prompt_revision) == (index, int(index >= 5))
        below = size.height // 40
        difference = picture[below:].astype(float) - renderer.render(index).to_ndarray(format="rgb24")[below:]
        psnr = 10 * np.log10(255**2 / (difference**2).mean())
        assert psnr > 36, f"expected a PSNR of more than 36 dB for frame {index} of the file, got {psnr:.1f} dB"


def test_mp4_index_precedes_the_frames(tmp_path: Path) -> None:
    film(10).write_video(path := tmp_path / "film.mp4", go_on)
    found = boxes(path.read_bytes())
    assert found[0] == "ftyp"
    assert found.index("moov") < found.index("mdat")


@pytest.mark.parametrize("fps", [20, 10, 1])
def test_key_frames_for_seeking_are_two_seconds_apart(tmp_path: Path, fps: int) -> None:
    film(6 * fps, 3 * fps // 2, size=SMALL, fps=fps).write_video(path := tmp_path / "film.mp4", go_on)
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        keys = [packet.pts for packet in container.demux(stream) if packet.is_keyframe and packet.pts is not None]
        assert all(later - key <= 2 * fps * TICKS for key, later in pairwise([*keys, 6 * fps * TICKS]))
        for key in reversed(keys):
            container.seek(key, stream=stream)
            stamp = read_stamp(next(container.decode(stream)).to_ndarray(format="gray"))
            assert stamp is not None
            assert stamp.frame_index == key // TICKS


def test_files_are_the_same_in_every_process(tmp_path: Path) -> None:
    here = "from tests.mock.media.test_film import digests; from pathlib import Path; import sys"
    code = f"{here}; print(digests(Path(sys.argv[1])))"
    root = Path(__file__).parents[3]
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert other.stdout.strip() == str(digests(tmp_path))


def digests(directory: Path) -> list[str]:
    made, path = film(30, 10, 20), directory / "artifact"
    found = []
    for write in (made.write_video, made.write_preview, made.write_thumbnail):
        write(path, go_on)
        found.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return found


@pytest.mark.parametrize(
    ("size", "half"), [(PORTRAIT, (352, 640)), (LANDSCAPE, (640, 352)), (Size(178, 322), (88, 160))], ids=str
)
def test_preview_is_four_seconds_at_half_size(tmp_path: Path, size: Size, half: tuple[int, int]) -> None:
    film(25, 10, size=size, fps=5).write_preview(path := tmp_path / "preview.mp4", go_on)
    stream, container = probe(path)
    assert (stream["width"], stream["height"]) == half
    assert (int(stream["nb_read_frames"]), stream["duration"], container["duration"]) == (20, "4.000000", "4.000000")
    assert boxes(path.read_bytes()).index("moov") < boxes(path.read_bytes()).index("mdat")
    if min(half) > 100:
        assert [(stamp.frame_index, stamp.prompt_revision) for stamp in stamps(path) if stamp] == [
            (index, int(index >= 10)) for index in range(20)
        ]


def test_preview_of_a_short_stream_is_complete(tmp_path: Path) -> None:
    film(7).write_preview(path := tmp_path / "preview.mp4", go_on)
    assert len(list(decoded(path))) == 7


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
@pytest.mark.parametrize(("frames", "middle"), [(1, 0), (20, 10), (21, 10)])
def test_thumbnail_is_the_middle_frame_at_half_size(tmp_path: Path, size: Size, frames: int, middle: int) -> None:
    made = film(frames, size=size)
    made.write_thumbnail(path := tmp_path / "thumbnail.jpg", go_on)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (size.width // 2, size.height // 2))
        pixels = np.asarray(image)
    stamp = read_stamp(pixels)
    assert stamp is not None
    assert (stamp.stream_tag, stamp.frame_index) == (7, middle)
    whole = Image.fromarray(Renderer(made.timeline).render(middle).to_ndarray(format="rgb24"))
    below = size.height // 80
    difference = pixels[below:].astype(float) - np.asarray(whole.reduce(2))[below:]
    cast = np.abs(difference.mean(axis=(0, 1))).max()
    assert cast < 2, (
        "expected the mean color of the thumbnail to differ by less than 2 levels in each channel from that of the "
        f"frame, got {cast:.1f}"
    )
    psnr = 10 * np.log10(255**2 / (difference**2).mean())
    assert psnr > 30, f"expected a PSNR of more than 30 dB between thumbnail and frame, got {psnr:.1f} dB"


def test_video_shows_the_start_image(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 96), (200, 30, 30)).save(buffer, "PNG")
    film(3, image=buffer.getvalue()).write_video(path := tmp_path / "film.mp4", go_on)
    red, green, blue = next(decoded(path))[40:200].mean(axis=(0, 1))
    assert red > 2 * max(green, blue), (
        f"expected a mainly red frame, as the start image, got mean RGB {red:.0f}, {green:.0f}, {blue:.0f}"
    )


@pytest.mark.parametrize("write", [Film.write_video, Film.write_preview, Film.write_thumbnail])
def test_invalid_start_image_raises_picture_error(
    tmp_path: Path, write: Callable[[Film, Path, Callable[[], None]], None]
) -> None:
    with pytest.raises(PictureError, match="cannot be decoded"):
        write(film(3, image=b"no picture"), tmp_path / "artifact", go_on)


class Enough(Exception):  # noqa: N818 - callers may raise any exception
    pass


@pytest.mark.parametrize("after", [0, 1, 30])
def test_checkpoint_stops_the_work_between_frames(tmp_path: Path, after: int) -> None:
    passed: list[None] = []

    def checkpoint() -> None:
        if len(passed) == after:
            raise Enough
        passed.append(None)

    with pytest.raises(Enough):
        film(60).write_video(tmp_path / "film.mp4", checkpoint)
    assert len(passed) == after


def test_running_or_empty_stream_is_rejected() -> None:
    with pytest.raises(TimelineError, match="got a running stream"):
        Film(Timeline(tag=7, size=SMALL), STARTED)
    with pytest.raises(TimelineError, match="got a stream without frames"):
        film(0)
