"""Encode, decode and read the stamps of many frames, and count those that are not read exactly.

    python scripts/stamp_exactness.py [FRAMES]

FRAMES (10,000 by default) is the number of frames of each codec and orientation. The scenes change with each key frame
interval: prompts for all kinds of land and weather, the idle scene, and start images full of noise, with which H.264
needs rate control. The exit code is 1 if a stamp was not read exactly.
"""

import io
import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import av
import numpy as np
from PIL import Image

from odyssey_client.media.stamp import Stamp
from odyssey_client.media.stamp import read_stamp as read_by_client
from odyssey_mock.explore.workers import end_with_main_process
from odyssey_mock.media.encoder import Codec, VideoEncoder
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline

FPS = 20
SCENE = 250
"""Frames of each scene: several key frame intervals, and half as many frames after an interaction."""
BEGUN_AT_MS = 1_790_000_000_000

PROMPTS = [
    f"{place} {weather}"
    for place in ("a lighthouse by the sea", "a forest", "a city at night", "mountains at dawn", "a planet in space")
    for weather in ("in a storm with rain", "in the snow", "under a clear sky")
]


def scenes(size: Size) -> Iterator[Timeline]:
    """Yield timelines without end: each prompt, then the idle scene and a start image of noise."""
    noise = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (size.height, size.width, 3), np.uint8)
    Image.fromarray(pixels).save(noise, "PNG")
    for tag, prompt in enumerate(itertools.cycle([*PROMPTS, "", "noise"])):
        if not prompt:
            yield Timeline(tag=None, size=size, fps=FPS)
            continue
        image = noise.getvalue() if prompt == "noise" else None
        timeline = Timeline(tag=tag % 2**16, size=size, fps=FPS, prompt=prompt, image=image)
        timeline.interact(SCENE // 2, f"{prompt}, with a balloon")
        yield timeline


def missed(codec: Codec, size: Size, frames: int) -> int:
    """Return how many of `frames` frames do not arrive with their stamp."""
    misses = left = 0
    for timeline in scenes(size):
        left = min(SCENE, frames)
        misses += _missed(codec, timeline, left)
        frames -= left
        if not frames:
            return misses
    raise AssertionError("unreachable: the scenes are endless")


def _missed(codec: Codec, timeline: Timeline, frames: int) -> int:
    renderer, encoder = Renderer(timeline), VideoEncoder(codec, timeline.size, FPS)
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    # One thread: more would return the frames later.
    decoder.thread_count = 1
    exact = 0
    for index in range(frames):
        stamp = FrameStamp(
            stream_tag=timeline.tag,
            frame_index=index,
            prompt_revision=None if timeline.tag is None else timeline.at(index).revision,
            sent_at_ms=BEGUN_AT_MS + index * 1000 // FPS,
        )
        frame = renderer.render(index)
        draw_stamp(frame, stamp)
        lumas = [
            np.asarray(each.to_ndarray(format="gray"), np.uint8)
            for each in decoder.decode(encoder.encode(frame, index))
        ]
        expected = Stamp(stamp.stream_tag, stamp.frame_index, stamp.sent_at_ms)
        exact += [(read_stamp(luma), read_by_client(luma)) for luma in lumas] == [(stamp, expected)]
    encoder.close()
    return frames - exact


def main(frames: int) -> bool:
    """Count the missed stamps of both codecs and orientations; return whether there are none."""
    codecs: tuple[Codec, ...] = ("h264", "vp8")
    cases = list(itertools.product(codecs, (Size(704, 1280), Size(1280, 704))))
    with ProcessPoolExecutor(initializer=end_with_main_process) as processes:
        counts = list(processes.map(missed, *zip(*cases, strict=True), itertools.repeat(frames)))
    for (codec, size), misses in zip(cases, counts, strict=True):
        sys.stdout.write(f"{codec:5} {size}: {frames - misses} of {frames} stamps read exactly\n")
    return not any(counts)


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000) else 1)
