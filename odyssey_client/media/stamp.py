"""Reading the stamp that `odyssey_mock` draws into its frames. Frames of the real service have no stamp.

A stamp is two rows of 88 cells, black for 0 and white for 1, at the middle of the top edge. A cell is 1/88 of the
frame's short side and 1/160 of its long side. A row is 11 bytes: a sync byte at each end, and nine bytes of content
between them. The content of both rows together, with sizes in bytes, big-endian::

    form 1   stream tag 2   prompt revision 3   frame index 4   sent at 6   CRC-16 of the preceding bytes 2

This module imports numpy when the first stamp is read, so that `import odyssey_client` does not load it.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    type Edges = NDArray[np.intp]

SHORT_SIDE, LONG_SIDE = 88, 160
"""Number of cells along the short and the long side of a frame; a frame with fewer pixels is too small for a stamp."""

_ROWS, _COLUMNS = 2, 88
_SYNC = ((0xB2, 0x69), (0x4D, 0x96))
"""The first and last byte of each row.

Half of their cells are white, so their mean brightness is the threshold between black and white.
"""

_IN_STREAM, _OUTSIDE = 0xA6, 0x59
_CRC_START = 0xFFFF  # CRC-16/CCITT-FALSE


@dataclass(frozen=True, slots=True)
class Stamp:
    """The identity and the time of a frame.

    Attributes:
        stream_tag: A number that identifies the stream; None for a frame outside any stream.
        frame_index: The number of the frame in its stream, from 0.
        sent_at_ms: When the frame was created, in milliseconds since the epoch on the sender's clock.
    """

    stream_tag: int | None
    frame_index: int
    sent_at_ms: int


def read_stamp(luma: NDArray[np.uint8]) -> Stamp | None:
    """Read the stamp of a frame from its brightness (`VideoFrame.luma`, shape ``(height, width)``).

    The stamp is readable after video coding and scaling. Return None if there is no stamp, or if it is damaged.
    """
    import numpy  # noqa: PLC0415 - see the module docstring

    height, width = luma.shape
    edges = _edges(width, height)
    if edges is None:
        return None
    tops, lefts = edges
    levels = numpy.empty((_ROWS, _COLUMNS))
    for row in range(_ROWS):
        line = luma[tops[row] : tops[row + 1], : lefts[-1]].mean(axis=0)
        levels[row] = numpy.add.reduceat(line, lefts[:-1]) / numpy.diff(lefts)
    threshold = levels[:, [*range(8), *range(_COLUMNS - 8, _COLUMNS)]].mean()
    rows = [row.tobytes() for row in numpy.packbits(levels > threshold, axis=1)]
    if any((row[0], row[-1]) != sync for row, sync in zip(rows, _SYNC, strict=True)):
        return None
    return _parsed(b"".join(row[1:-1] for row in rows))


def _parsed(content: bytes) -> Stamp | None:
    form = content[0]
    if form not in {_IN_STREAM, _OUTSIDE} or crc_hqx(content[:16], _CRC_START) != int.from_bytes(content[16:]):
        return None
    return Stamp(
        stream_tag=int.from_bytes(content[1:3]) if form == _IN_STREAM else None,
        frame_index=int.from_bytes(content[6:10]),
        sent_at_ms=int.from_bytes(content[10:16]),
    )


@lru_cache(maxsize=8)
def _edges(width: int, height: int) -> tuple[Edges, Edges] | None:
    """Return the pixel positions of the cell edges, for rows and for columns; None if the frame is too small."""
    import numpy  # noqa: PLC0415 - see the module docstring

    across, down = (SHORT_SIDE, LONG_SIDE) if width <= height else (LONG_SIDE, SHORT_SIDE)
    if width < across or height < down:
        return None
    columns = numpy.arange(_COLUMNS + 1) + (across - _COLUMNS) // 2
    rows = numpy.arange(_ROWS + 1)
    tops, lefts = numpy.rint(rows * (height / down)), numpy.rint(columns * (width / across))
    return tops.astype(numpy.intp), lefts.astype(numpy.intp)
