"""Tests that the playlist of a random stream follows RFC 8216 every time that it is loaded."""

import asyncio
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hls import STARTED, Playlist, Streamed

FRAMES = st.lists(
    # For each frame: the slots since the previous frame (mostly 1, more in a stall), and whether a key frame is forced.
    st.tuples(st.one_of(st.just(1), st.just(1), st.integers(1, 5), st.integers(1, 200)), st.booleans()),
    min_size=1,
    max_size=120,
)


@given(
    frames=FRAMES,
    fps=st.sampled_from([1, 7, 20, 60]),
    segment_duration=st.sampled_from([0.001, 0.1, 0.4, 1.0, 1.6]),
    segments=st.integers(1, 4),
    first=st.integers(0, 1000),
)
@settings(max_examples=150)
def test_playlist_is_valid_after_every_frame(
    frames: list[tuple[int, bool]], fps: int, segment_duration: float, segments: int, first: int
) -> None:
    asyncio.run(_keeps_its_promises(frames, Streamed(fps, segment_duration, segments), first))


async def _keeps_its_promises(frames: list[tuple[int, bool]], stream: Streamed, slot: int) -> None:
    fps, promises = stream.fps, Promises(stream)
    seen: dict[str, list[tuple[int, bool]]] = {}
    stream.push(slot)
    for gap, keyframe in frames:
        slot += gap
        stream.push(slot, keyframe=keyframe)
        if stream.hls.file("segment_0.mp4") is not None or promises.playlist is not None:
            await promises.check(is_over=False)
            assert promises.playlist is not None
            for segment in promises.playlist.segments:
                seen.setdefault(segment.name, stream.packets(segment.name))
    stream.hls.finish()
    await promises.check(is_over=True)
    assert promises.playlist is not None
    seen |= {segment.name: stream.packets(segment.name) for segment in promises.playlist.segments}

    assert list(seen) == [f"segment_{number}.mp4" for number in range(len(seen))]
    origin = stream.slots[0]
    assert [at for packets in seen.values() for at, _ in packets] == [each - origin for each in stream.slots]
    for name, packets in seen.items():
        assert packets[0][1], f"expected a key frame as the first frame of {name}, got a delta frame"
        began = round((promises.began[name] - STARTED) * fps)
        assert began == packets[0][0], f"expected {name} to begin in slot {packets[0][0]}, got slot {began}"
    lengths = [promises.lengths[name] for name in seen]
    assert sum(lengths) == stream.slots[-1] + 1 - origin
    assert all(length >= max(1, round(stream.segment_duration * fps)) for length in lengths[:-1])


class Promises:
    """A checker that loads the playlist of a stream repeatedly and checks each version against RFC 8216.

    Durations are in frame slots: one slot is 1/fps seconds.
    """

    def __init__(self, stream: Streamed) -> None:
        self._stream = stream
        self.playlist: Playlist | None = None
        self.lengths: dict[str, int] = {}
        self.began: dict[str, float] = {}
        self._longest: dict[str, int] = {}
        self._until: dict[str, int] = {}

    async def check(self, *, is_over: bool) -> None:
        """Load the playlist; check it and its files against RFC 8216 and the playlists loaded earlier."""
        former, playlist = self.playlist, await self._stream.playlist()
        self.playlist = playlist
        names = [segment.name for segment in playlist.segments]
        assert playlist.is_over == is_over
        assert 1 <= len(names) <= self._stream.segments
        assert names == [f"segment_{playlist.sequence + at}.mp4" for at in range(len(names))]
        if former is not None:
            assert playlist.sequence >= former.sequence
            assert playlist.target >= former.target
        else:
            assert playlist.sequence == 0
        for segment in playlist.segments:
            assert math.floor(segment.seconds + Fraction(1, 2)) <= playlist.target
            slots = round(segment.seconds * self._stream.fps)
            assert float(segment.seconds) == pytest.approx(slots / self._stream.fps, abs=1e-5)
            assert self.lengths.setdefault(segment.name, slots) == slots, (
                f"expected {self.lengths[segment.name]} slots for {segment.name}, as in earlier playlists; got {slots}"
            )
            assert self.began.setdefault(segment.name, segment.began) == segment.began
        assert playlist.target >= self._stream.segment_duration
        self._check_files(names)

    def _check_files(self, names: list[str]) -> None:
        now = sum(self.lengths.values())
        length = sum(self.lengths[name] for name in names)
        for name in names:
            self._longest[name] = max(self._longest.get(name, 0), length)
        for name in self.lengths:
            if name in names:
                assert self._stream.hls.file(name), f"expected the listed segment {name} to be available, got no file"
                continue
            # RFC 8216 section 6.2.2: a removed segment stays available for its own duration plus that of the longest
            # playlist that listed it.
            until = self._until.setdefault(name, now + self.lengths[name] + self._longest[name])
            assert (self._stream.hls.file(name) is not None) == (now < until)
