"""Tests of the text of an HLS playlist: a fixed example, and random playlists that the tests' own parser reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.broadcasts.hls import Entry, write_playlist
from tests.support.hls import read_playlist


def test_ended_playlist_has_the_pinned_text() -> None:
    entries = [Entry(7, 1.0, 1_000_000_000.0), Entry(8, 0.35, 1_000_000_001.0)]
    assert write_playlist(entries, target=1, is_over=True, query="?token=a%22b") == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:1\n"
        "#EXT-X-MEDIA-SEQUENCE:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4?token=a%22b"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2001-09-09T01:46:40.000Z\n"
        "#EXTINF:1.00000,\n"
        "segment_7.mp4?token=a%22b\n"
        "#EXT-X-PROGRAM-DATE-TIME:2001-09-09T01:46:41.000Z\n"
        "#EXTINF:0.35000,\n"
        "segment_8.mp4?token=a%22b\n"
        "#EXT-X-ENDLIST\n"
    )


@given(
    first=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=12),
    fps=st.integers(1, 60),
    began=st.floats(0, 4e9),
    target=st.integers(1, 600),
    is_over=st.booleans(),
    query=st.sampled_from(["", "?token=abc"]),
)
def test_written_playlist_is_parsed_back(
    first: int, lengths: list[int], fps: int, began: float, target: int, is_over: bool, query: str
) -> None:
    entries = [Entry(first + at, length / fps, began + sum(lengths[:at]) / fps) for at, length in enumerate(lengths)]
    playlist = read_playlist(write_playlist(entries, target=target, is_over=is_over, query=query))
    assert (playlist.target, playlist.sequence, playlist.is_over) == (target, first, is_over)
    assert playlist.init == f"init.mp4{query}"
    assert [segment.uri for segment in playlist.segments] == [f"segment_{entry.number}.mp4{query}" for entry in entries]
    for segment, entry in zip(playlist.segments, entries, strict=True):
        assert float(segment.seconds) == pytest.approx(entry.seconds, abs=1e-5)
        assert segment.began == pytest.approx(entry.began, abs=1.1e-3)
