"""Tests that the characters of a font file are read from its table `cmap`, and that damaged files have none."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_mock.media.font_characters import Characters, characters_of

SHARED_PATH = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

type Ranges = list[tuple[int, int]]


def segments(ranges: Ranges) -> bytes:
    """Return a subtable in format 4, with segments of 16-bit codes."""
    ends = struct.pack(f">{len(ranges)}H", *(last for _, last in ranges))
    starts = struct.pack(f">{len(ranges)}H", *(first for first, _ in ranges))
    return struct.pack(">7H", 4, 0, 0, 2 * len(ranges), 0, 0, 0) + ends + b"\0\0" + starts


def groups(ranges: Ranges) -> bytes:
    """Return a subtable in format 12, with groups of 32-bit codes."""
    return struct.pack(">HHIII", 12, 0, 0, 0, len(ranges)) + b"".join(
        struct.pack(">III", first, last, 1) for first, last in ranges
    )


def font(*subtables: tuple[int, int, bytes], collection: bool = False) -> bytes:
    """Return a font file that has only a `cmap` with the subtables (platform, encoding, content)."""
    directory, content = b"", b""
    for platform, encoding, subtable in subtables:
        directory += struct.pack(">HHI", platform, encoding, 4 + 8 * len(subtables) + len(content))
        content += subtable
    table = struct.pack(">HH", 0, len(subtables)) + directory + content
    start = 16 if collection else 0
    head = b"ttcf" + struct.pack(">III", 0x10000, 1, start) if collection else b""
    offset = start + 12 + 2 * 16
    return (
        head
        + struct.pack(">IHHHH", 0x10000, 2, 0, 0, 0)
        + struct.pack(">4sIII", b"OS/2", 0, 0, 0)
        + struct.pack(">4sIII", b"cmap", 0, offset, len(table))
        + table
    )


def read(path: Path, content: bytes) -> Characters:
    path.write_bytes(content)
    return characters_of(str(path))


@pytest.mark.parametrize("collection", [False, True])
def test_subtables_are_combined(tmp_path: Path, collection: bool) -> None:
    content = font(
        (0, 3, segments([(0x41, 0x5A), (0x5B, 0x60), (0x4E00, 0x4E10)])),
        (3, 10, groups([(0x50, 0x70), (0x1F408, 0x1F408)])),
        collection=collection,
    )
    assert read(tmp_path / "font", content) == Characters((0x41, 0x4E00, 0x1F408), (0x70, 0x4E10, 0x1F408))


def test_codes_that_are_not_unicode_are_ignored(tmp_path: Path) -> None:
    content = font(
        (3, 0, segments([(0xF020, 0xF0FF)])), (1, 0, segments([(0, 255)])), (3, 1, segments([(0x391, 0x3A9)]))
    )
    assert read(tmp_path / "font", content) == Characters((0x391,), (0x3A9,))


@given(ranges=st.lists(st.tuples(st.integers(0, 0x10FFFF), st.integers(0, 40))), code=st.integers(0, 0x10FFFF))
@SHARED_PATH
def test_set_contains_exactly_its_ranges(tmp_path: Path, ranges: Ranges, code: int) -> None:
    spans = [(first, first + length) for first, length in ranges]
    characters = read(tmp_path / "font", font((3, 10, groups(spans))))
    for each in [code, *(edge + by for span in spans for edge in span for by in (-1, 0, 1))]:
        assert (each in characters) == any(first <= each <= last for first, last in spans)


@given(data=st.data())
@SHARED_PATH
def test_damaged_file_raises_nothing(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(font((0, 3, segments([(0x41, 0x5A)])), (3, 10, groups([(0x1F408, 0x1F408)]))))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    read(tmp_path / "font", bytes(content[: data.draw(st.integers(0, len(content)))]))


@pytest.mark.parametrize("content", [b"", b"not a font", b"ttcf", font()[:30]])
def test_other_file_has_no_characters(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "file", content) == Characters()
    assert characters_of(str(tmp_path / "absent")) == Characters()
    assert characters_of(str(tmp_path)) == Characters()


def test_named_pipe_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.ttf"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        characters = pool.submit(characters_of, str(pipe))
        try:
            assert characters.result(timeout=10) == Characters()
        finally:  # a thread that waits for a writer gets one
            os.close(os.open(pipe, os.O_RDWR))
