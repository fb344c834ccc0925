"""What a spectator has seen so far: counts and times, on clocks that are read elsewhere."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from odyssey_client.models import JSON

if TYPE_CHECKING:
    from odyssey_client.media.stamp import Stamp

FPS_OVER_S = 1.0
"""Seconds over which frames are counted for the rate of now."""

OLDEST_S = 10.0
"""A frame that arrives older than this, or before it was made, is of a clock that is not ours."""


class PlaybackStats:
    """Takes each frame as it comes. All times but those of stamps are seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self.frames = 0
        self.missing = 0
        """Frames that were made between the first and the last one seen, and did not come, by the stamps."""
        self._began = now
        self._arrivals: deque[float] = deque()
        self._size: tuple[int, int] | None = None
        self._first: Stamp | None = None
        self._last: Stamp | None = None
        self._unread = 0  # frames since the last one with a stamp
        self._made: float | None = None  # when the last frame was made

    def add(self, size: tuple[int, int], stamp: Stamp | None, *, now: float, time: float) -> None:
        """Take a frame of ``size`` (width, height); ``time`` is now, in seconds since the epoch."""
        self.frames += 1
        self._size = size
        self._arrivals.append(now)
        self._made = None
        if stamp is None:
            self._unread += 1
            return
        if self._last is not None and self._last.stream_tag == stamp.stream_tag:
            self.missing += max(0, stamp.frame_index - self._last.frame_index - 1 - self._unread)
        age = time - stamp.sent_at_ms / 1000
        if 0 <= age <= OLDEST_S:
            self._made = now - age
        self._first = self._first or stamp
        self._last, self._unread = stamp, 0

    def fps(self, now: float) -> int:
        """How many frames the last second brought."""
        while self._arrivals and self._arrivals[0] <= now - FPS_OVER_S:
            self._arrivals.popleft()
        return len(self._arrivals)

    def age_ms(self, now: float) -> float | None:
        """How long ago the last frame was made, in milliseconds; None where that cannot be told."""
        return None if self._made is None else (now - self._made) * 1000

    def line(self, now: float) -> str:
        """How it stands, what changes most first."""
        age = self.age_ms(now)
        parts = (
            counted(self.frames),
            f"{self.fps(now)} fps",
            None if age is None else f"age {age:.0f} ms",
            None if self._last is None else f"{self.missing} missing",
            self._size_text,
        )
        return ", ".join(part for part in parts if part is not None)

    def document(self, now: float) -> dict[str, JSON]:
        """All there is to tell, for programs."""
        seconds = now - self._began
        width, height = self._size or (None, None)
        return {
            "frames": self.frames,
            "seconds": round(seconds, 3),
            "fps": self._mean(seconds),
            "width": width,
            "height": height,
            "stamps": None
            if self._first is None or self._last is None
            else {"first": self._first.frame_index, "last": self._last.frame_index, "missing": self.missing},
        }

    def pairs(self, now: float) -> list[tuple[str, object]]:
        """The same, for people."""
        seconds = now - self._began
        stamped = None
        if self._first is not None and self._last is not None:
            stamped = f"{self._first.frame_index} to {self._last.frame_index}, {self.missing} missing"
        return [
            ("frames", self.frames),
            ("stamps", stamped),
            ("duration", f"{seconds:.1f} s"),
            ("fps", self._mean(seconds)),
            ("size", self._size_text),
        ]

    @property
    def _size_text(self) -> str | None:
        return None if self._size is None else f"{self._size[0]}x{self._size[1]}"

    def _mean(self, seconds: float) -> float | None:
        return round(self.frames / seconds, 2) if seconds > 0 else None


def counted(count: int) -> str:
    """Write a number of frames."""
    return f"{count} {'frame' if count == 1 else 'frames'}"
