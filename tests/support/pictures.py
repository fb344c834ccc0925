"""Functions that create video frames as the client's WebRTC peer decodes them."""

from fractions import Fraction

import av
import numpy as np

from odyssey_client import MediaStream

CLOCK = Fraction(1, 90_000)


def picture(index: int, width: int = 64, height: int = 96) -> av.VideoFrame:
    """Return frame `index` of a 20 fps video in which each frame is a little brighter than the one before."""
    shade = np.full((height, width, 3), (16 + index * 8) % 256, np.uint8)
    return timed(av.VideoFrame.from_ndarray(shade, format="rgb24").reformat(format="yuv420p"), index)


def noise(index: int, width: int = 176, height: int = 320) -> av.VideoFrame:
    """Return frame `index` of a 20 fps video of random pixels. A frame needs about 50 kB in a recording."""
    shades = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
    return timed(av.VideoFrame.from_ndarray(shades, format="rgb24").reformat(format="yuv420p"), index)


def timed(frame: av.VideoFrame, index: int) -> av.VideoFrame:
    """Set the timestamp of a frame to that of frame `index` in a 20 fps video; return the frame."""
    frame.pts, frame.time_base = 1_000_000 + index * 4500, CLOCK
    return frame


def fill(stream: MediaStream, count: int) -> None:
    for index in range(count):
        stream.push(picture(index))
