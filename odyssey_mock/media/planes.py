"""The planes of a yuv420p frame as numpy arrays that share the frame's memory."""

from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

type Plane = NDArray[np.uint8]

BLACK, WHITE, NEUTRAL = 16, 235, 128
"""Luma of black, luma of white, and chroma of gray, in the limited range of video (ITU-R BT.601)."""


class Planes(NamedTuple):
    """The luma plane (h, w) and both chroma planes (h/2, w/2) of a frame, uint8. Writes to them change the frame."""

    y: Plane
    u: Plane
    v: Plane


def planes_of(frame: av.VideoFrame) -> Planes:
    """Return the planes of `frame`, without the padding at the end of each line.

    Raises:
        ValueError: `frame` is not yuv420p.
    """
    if frame.format.name != "yuv420p":
        raise ValueError(f"expected a yuv420p frame, got {frame.format.name}; reformat it first")
    return Planes(
        *(
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
            for plane in frame.planes
        )
    )
