"""Reading of a font file's table `cmap` (OpenType specification), which lists the characters of the font.

The table is read without loading the font. The alternative is to draw each character in each font, which takes seconds
for a prompt with characters that no font has.
"""

import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LARGEST_TABLE = 4 << 20
"""Maximum size of a `cmap` in bytes. Those of the largest fonts have less than 1 MB."""
_SYMBOLS = (3, 0)
"""Platform id and encoding id of symbol fonts, whose codes are not Unicode."""
_UNICODE, _WINDOWS = 0, 3
"""Ids of the platforms whose codes are Unicode, except in symbol fonts."""


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of code points, as ranges in ascending order that do not overlap."""

    firsts: tuple[int, ...] = ()
    lasts: tuple[int, ...] = ()

    def __contains__(self, code: int) -> bool:
        at = bisect_right(self.firsts, code) - 1
        return at >= 0 and code <= self.lasts[at]


def characters_of(path: str) -> Characters:
    """Return the code points for which the first font of a file may have a glyph.

    The result is empty if the file is damaged or is not a font.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - as below
            return Characters()  # without opening it, which blocks for a named pipe
        with open(path, "rb") as file:  # noqa: PTH123 - many files: a Path takes longer to make than the file to read
            table = _cmap(file)
        return _merged(sorted(_ranges(table)))
    except (OSError, struct.error):
        return Characters()


def _cmap(file: BinaryIO) -> bytes:
    start = 0
    header = file.read(16)
    if header[:4] == b"ttcf":
        (start,) = struct.unpack_from(">I", header, 12)
        file.seek(start)
        header = file.read(16)
    (count,) = struct.unpack_from(">H", header, 4)
    file.seek(start + 12)
    directory = file.read(16 * count)
    for tag, _, offset, length in struct.iter_unpack(">4sIII", directory):
        if tag == b"cmap":
            file.seek(offset)
            return file.read(min(length, _LARGEST_TABLE))
    return b""


def _ranges(table: bytes) -> Iterator[tuple[int, int]]:
    """Yield the first and the last code point of each range in a `cmap` table. The ranges are not sorted."""
    if not table:
        return
    (count,) = struct.unpack_from(">H", table, 2)
    for at in range(4, 4 + 8 * count, 8):
        platform, encoding, offset = struct.unpack_from(">HHI", table, at)
        if platform not in {_UNICODE, _WINDOWS} or (platform, encoding) == _SYMBOLS:
            continue
        (form,) = struct.unpack_from(">H", table, offset)
        if form == 4:  # segments of 16-bit codes
            (doubled,) = struct.unpack_from(">H", table, offset + 6)
            lasts = struct.unpack_from(f">{doubled // 2}H", table, offset + 14)
            firsts = struct.unpack_from(f">{doubled // 2}H", table, offset + 16 + doubled)
            yield from zip(firsts, lasts, strict=True)
        elif form == 12:  # groups of 32-bit codes
            (groups,) = struct.unpack_from(">I", table, offset + 12)
            content = table[offset + 16 : offset + 16 + 12 * groups]
            yield from ((first, last) for first, last, _ in struct.iter_unpack(">III", content))


def _merged(ranges: list[tuple[int, int]]) -> Characters:
    firsts, lasts = list[int](), list[int]()
    for first, last in ranges:
        if lasts and first <= lasts[-1] + 1:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return Characters(tuple(firsts), tuple(lasts))
