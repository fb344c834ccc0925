"""Tests of reading the stamps of frames. The tests draw the stamps according to the specified format."""

import subprocess
import sys
from binascii import crc_hqx
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from odyssey_client.media.stamp import Stamp, read_stamp

type Luma = NDArray[np.uint8]

SYNC = ((0b10110010, 0b01101001), (0b01001101, 0b10010110))
BLACK, WHITE, GROUND = 16, 235, 90
SENT_AT = datetime(2026, 9, 21, 14, 30, tzinfo=UTC)
IN_STREAM = bytes.fromhex("A6 3F2A 000002 000000F7")
OUTSIDE = bytes.fromhex("59 0000 000000 00000007")
EXAMPLE = Stamp(stream_tag=0x3F2A, frame_index=247, sent_at_ms=round(SENT_AT.timestamp() * 1000))


def drawn(head: bytes = IN_STREAM, *, cell: int = 8, portrait: bool = True, wrong: int = 0) -> Luma:
    """Return the luma plane of a frame with a stamp.

    The content of the stamp begins with ``head``. ``cell`` is the size of a bit in pixels. ``wrong`` is added to the
    correct checksum.
    """
    body = head + round(SENT_AT.timestamp() * 1000).to_bytes(6)
    content = body + ((crc_hqx(body, 0xFFFF) + wrong) % 2**16).to_bytes(2)
    rows = [bytes([SYNC[row][0], *content[row * 9 : row * 9 + 9], SYNC[row][1]]) for row in range(2)]
    cells = np.unpackbits(np.frombuffer(b"".join(rows), np.uint8)).reshape(2, 88)
    picture = np.full((160 * cell, 88 * cell) if portrait else (88 * cell, 160 * cell), GROUND, np.uint8)
    left = 0 if portrait else 36 * cell
    picture[: 2 * cell, left : left + 88 * cell] = np.where(cells, WHITE, BLACK).repeat(cell, 0).repeat(cell, 1)
    return picture


@pytest.mark.parametrize("portrait", [True, False])
@pytest.mark.parametrize("cell", [1, 2, 3, 8, 11])
def test_stamp_has_stream_frame_and_time(cell: int, portrait: bool) -> None:
    assert read_stamp(drawn(cell=cell, portrait=portrait)) == EXAMPLE


def test_frame_outside_a_stream_has_no_tag() -> None:
    assert read_stamp(drawn(OUTSIDE)) == Stamp(stream_tag=None, frame_index=7, sent_at_ms=EXAMPLE.sent_at_ms)


@given(contrast=st.floats(0.2, 1.0), lift=st.integers(0, 20))
def test_stamp_is_readable_at_other_contrast(contrast: float, lift: int) -> None:
    assert read_stamp((drawn(cell=2) * contrast + lift).astype(np.uint8)) == EXAMPLE


@given(cells=st.sets(st.tuples(st.integers(0, 1), st.integers(0, 87)), min_size=1, max_size=3))
def test_stamp_with_wrong_cells_is_none(cells: set[tuple[int, int]]) -> None:
    picture = drawn(cell=2)
    for row, column in cells:
        cell = picture[row * 2 : row * 2 + 2, column * 2 : column * 2 + 2]
        cell[:] = WHITE + BLACK - cell
    assert read_stamp(picture) is None


def test_invalid_stamp_is_none() -> None:
    assert read_stamp(drawn(wrong=1)) is None
    assert read_stamp(drawn(bytes.fromhex("A7") + IN_STREAM[1:])) is None
    assert read_stamp(np.roll(drawn(cell=2), 2, axis=1)) is None
    assert read_stamp(drawn()[::-1]) is None


@pytest.mark.parametrize("level", [0, 127, 255])
def test_plain_picture_has_no_stamp(level: int) -> None:
    assert read_stamp(np.full((1280, 704), level, np.uint8)) is None


@pytest.mark.parametrize("shape", [(0, 0), (159, 88), (160, 87), (87, 160), (2, 2)])
def test_too_small_picture_has_no_stamp(shape: tuple[int, int]) -> None:
    assert read_stamp(np.zeros(shape, np.uint8)) is None


def test_import_does_not_load_numpy() -> None:
    code = "import sys, odyssey_client.media.stamp; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "False\n"
