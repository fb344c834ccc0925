"""Frame stamps: black and white cells that identify a frame and survive lossy coding and rescaling.

The stamp is two rows of 88 cells at the middle of the top edge. A cell is 1/88 of the short side and 1/160 of the long
side, which is 8x8 px in 704x1280 and 1280x704. In these sizes, two rows of cells are exactly one row of macroblocks, so
coding the scene below does not affect them. A reader finds the cells from the size of the frame alone.

The layout, with the number of bits of each field:

    | row 0: sync 8, kind 8, stream tag 16, prompt revision 24, frame index (upper) 24, sync 8
    | row 1: sync 8, frame index (lower) 8, sent at 48, CRC-16 16, sync 8

The kind is 0xA6 in a stream, and 0x59 in the idle scene. Numbers are big-endian, and a white cell is 1. The syncs of
row 1 are those of row 0 inverted. They give the levels of black and white at any contrast. The checksum
(CRC-16/CCITT-FALSE) detects every error of up to three cells.
"""

from binascii import crc_hqx
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from odyssey_mock.media.planes import BLACK, NEUTRAL, WHITE, planes_of

COLUMNS, ROWS = 88, 2
_SHORT_SIDE_CELLS, _LONG_SIDE_CELLS = 88, 160
_SYNC_CELLS = 8
_SYNC_LEFT = np.array([1, 0, 1, 1, 0, 0, 1, 0], np.bool_)
_SYNC_RIGHT = np.array([0, 1, 1, 0, 1, 0, 0, 1], np.bool_)
_IN_STREAM, _OUTSIDE = 0xA6, 0x59
_CRC_SEED = 0xFFFF
_BITS = {"stream_tag": 16, "prompt_revision": 24, "frame_index": 32, "sent_at_ms": 48}
_MIN_CONTRAST = 40
"""Minimum difference between the average luma of white and black sync cells. At 250 kbit/s, it is over 150."""

_SAMPLES = np.array([0.35, 0.5, 0.65])
"""Sample positions in a cell, along each axis: near the middle, because coding and scaling blur the edges."""

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True, slots=True)
class FrameStamp:
    """The identity of a frame.

    Attributes:
        stream_tag: 16-bit number of the stream; None outside a stream (the idle scene).
        frame_index: index of the frame, counted from 0 in each stream; less than 2**32. Outside streams, all sessions
            of a mock count from the same time.
        prompt_revision: number of interactions that the frame shows, less than 2**24; None outside a stream.
        sent_at_ms: when the frame was created, in milliseconds since the epoch on the server's clock; less than 2**48.

    Raises:
        ValueError: a number is out of range, or only one of stream tag and prompt revision is None.
    """

    stream_tag: int | None
    frame_index: int
    prompt_revision: int | None
    sent_at_ms: int

    def __post_init__(self) -> None:
        if (self.stream_tag is None) is not (self.prompt_revision is None):
            raise ValueError(
                "expected stream_tag and prompt_revision both (in a stream) or neither (outside), "
                f"got {self.stream_tag} and {self.prompt_revision}"
            )
        for name, bits in _BITS.items():
            value: int | None = getattr(self, name)
            if value is not None and not 0 <= value < 2**bits:
                raise ValueError(f"expected {name} from 0 to 2**{bits} - 1, got {value}")


def draw_stamp(frame: av.VideoFrame, stamp: FrameStamp) -> None:
    """Draw `stamp` onto a yuv420p `frame`, in place.

    Raises:
        ValueError: the frame is not yuv420p, or is smaller than 88x160 (160x88 in landscape).
    """
    layout = _layout(frame.width, frame.height)
    if layout is None:
        raise ValueError(
            f"expected a frame of at least {_SHORT_SIDE_CELLS}x{_LONG_SIDE_CELLS} (in either orientation) for a stamp, "
            f"got {frame.width}x{frame.height}"
        )
    cells = np.empty((ROWS, COLUMNS), np.bool_)
    for row, inverted in enumerate((False, True)):
        cells[row, :_SYNC_CELLS] = _SYNC_LEFT ^ inverted
        cells[row, -_SYNC_CELLS:] = _SYNC_RIGHT ^ inverted
    cells[:, _SYNC_CELLS:-_SYNC_CELLS] = np.unpackbits(np.frombuffer(_pack(stamp), np.uint8)).reshape(ROWS, -1)
    luma = np.where(cells, np.uint8(WHITE), np.uint8(BLACK))
    top, left, height, width = layout.box
    y, u, v = planes_of(frame)
    y[top : top + height, left : left + width] = luma[layout.row_of_line[:, None], layout.column_of_pixel]
    # Chroma samples that the stamp covers only in part are cleared too: their color would change the RGB that is read.
    for chroma in (u, v):
        chroma[top // 2 : (top + height + 1) // 2, left // 2 : (left + width + 1) // 2] = NEUTRAL


def read_stamp(rgb_or_gray: NDArray[Any]) -> FrameStamp | None:
    """Read the stamp of a frame.

    Stamps survive lossy coding if a cell has at least 2 px, and rescaling if a cell has at least 4 px.

    Args:
        rgb_or_gray: uint8 array, (height, width, 3) with red, green and blue, or (height, width) with luma.

    Returns:
        The stamp; None if the frame has no complete stamp or is too small for one.

    Raises:
        TypeError: the argument is not a numpy array of uint8.
        ValueError: the array has another shape.
    """
    # Some decoders return floats or lists: reject them here, before numpy fails below.
    got = getattr(rgb_or_gray, "dtype", type(rgb_or_gray).__name__)
    if got != np.uint8:
        raise TypeError(f"expected a numpy array of uint8, got {got}; convert the frame to rgb24 or gray")
    if rgb_or_gray.ndim != 2 and rgb_or_gray.shape[2:] != (3,):
        raise ValueError(f"expected an array (height, width, 3) or (height, width), got {rgb_or_gray.shape}")
    layout = _layout(rgb_or_gray.shape[1], rgb_or_gray.shape[0])
    if layout is None:
        return None
    samples = rgb_or_gray[layout.sample_lines[:, None], layout.sample_pixels].astype(np.float64)
    if samples.ndim == 3:
        samples = samples @ _LUMA
    levels = samples.reshape(ROWS, _SAMPLES.size, COLUMNS, _SAMPLES.size).mean(axis=(1, 3))
    sync = np.concatenate((levels[:, :_SYNC_CELLS], levels[:, -_SYNC_CELLS:]), axis=1)
    expected = np.concatenate((_SYNC_LEFT, _SYNC_RIGHT)) ^ np.array([[False], [True]])
    white, black = sync[expected].mean(), sync[~expected].mean()
    threshold = (white + black) / 2
    if white - black < _MIN_CONTRAST or not np.array_equal(sync > threshold, expected):
        return None
    return _parse(np.packbits(levels[:, _SYNC_CELLS:-_SYNC_CELLS] > threshold).tobytes())


def _pack(stamp: FrameStamp) -> bytes:
    body = (
        bytes([_OUTSIDE if stamp.stream_tag is None else _IN_STREAM])
        + (stamp.stream_tag or 0).to_bytes(2)
        + (stamp.prompt_revision or 0).to_bytes(3)
        + stamp.frame_index.to_bytes(4)
        + stamp.sent_at_ms.to_bytes(6)
    )
    return body + crc_hqx(body, _CRC_SEED).to_bytes(2)


def _parse(data: bytes) -> FrameStamp | None:
    body, checksum = data[:-2], int.from_bytes(data[-2:])
    if body[0] not in {_IN_STREAM, _OUTSIDE} or crc_hqx(body, _CRC_SEED) != checksum:
        return None
    in_stream = body[0] == _IN_STREAM
    return FrameStamp(
        stream_tag=int.from_bytes(body[1:3]) if in_stream else None,
        prompt_revision=int.from_bytes(body[3:6]) if in_stream else None,
        frame_index=int.from_bytes(body[6:10]),
        sent_at_ms=int.from_bytes(body[10:16]),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """Position of the stamp in frames of one size: its box (top, left, height, width), and the pixels of its cells."""

    box: tuple[int, int, int, int]
    row_of_line: NDArray[np.intp]
    column_of_pixel: NDArray[np.intp]
    sample_lines: NDArray[np.intp]
    sample_pixels: NDArray[np.intp]


@lru_cache(maxsize=16)
def _layout(width: int, height: int) -> _Layout | None:
    across, down = (_SHORT_SIDE_CELLS, _LONG_SIDE_CELLS) if width <= height else (_LONG_SIDE_CELLS, _SHORT_SIDE_CELLS)
    if width < across or height < down:
        return None
    first = (across - COLUMNS) // 2
    column_edges = _edges(first, COLUMNS, width / across)
    row_edges = _edges(0, ROWS, height / down)
    return _Layout(
        box=(
            int(row_edges[0]),
            int(column_edges[0]),
            int(row_edges[-1] - row_edges[0]),
            int(column_edges[-1] - column_edges[0]),
        ),
        row_of_line=np.repeat(np.arange(ROWS), np.diff(row_edges)),
        column_of_pixel=np.repeat(np.arange(COLUMNS), np.diff(column_edges)),
        sample_lines=_samples(0, ROWS, height / down),
        sample_pixels=_samples(first, COLUMNS, width / across),
    )


def _edges(first: int, cells: int, pitch: float) -> NDArray[np.intp]:
    return np.rint(np.arange(first, first + cells + 1) * pitch).astype(np.intp)


def _samples(first: int, cells: int, pitch: float) -> NDArray[np.intp]:
    places = np.arange(first, first + cells)[:, None] + _SAMPLES
    samples: NDArray[np.intp] = np.floor(places * pitch).astype(np.intp).ravel()
    return samples
