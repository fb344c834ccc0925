"""Statistics of the frames that were received. Callers pass the current time; this module reads no clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from odyssey_client.models import JSON

if TYPE_CHECKING:
    from odyssey_client.media.stamp import Stamp

FPS_OVER_S = 1.0
"""Period, in seconds, over which the current frame rate is measured."""

OLDEST_S = 10.0
"""The highest plausible age of a frame, in seconds.

A higher or negative age means that the sender's clock differs from this machine's. Such an age is not shown.
"""


class PlaybackStats:
    """Statistics of the received frames. All parameters ``now`` are seconds of the same monotonic clock.

    The first frames may have arrived before the statistics began. They count for the rates from their arrival on.
    """

    def __init__(self, now: float) -> None:
        self.frames = 0
        self.missing = 0
        """Number of frames that were sent but not received, computed from the frame indices in the stamps."""
        self._began = self._first_at = now
        self._arrivals: deque[float] = deque()
        self._size: tuple[int, int] | None = None
        self._first: Stamp | None = None
        self._last: Stamp | None = None
        self._unread = 0  # frames received since the last frame with a stamp
        self._made: float | None = None  # when the last frame was created, on the clock of ``now``; None if unknown

    def add(self, size: tuple[int, int], stamp: Stamp | None, *, now: float, time: float) -> None:
        """Count a frame of ``size`` (width, height). ``stamp`` is None if the frame has no readable stamp.

        ``now`` is the time of its arrival, ``time`` the same time in seconds since the epoch.
        """
        self.frames += 1
        self._size = size
        self._arrivals.append(now)
        self._first_at = min(self._first_at, now)
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
        """Return the number of frames received in the last second."""
        while self._arrivals and self._arrivals[0] <= now - FPS_OVER_S:
            self._arrivals.popleft()
        return len(self._arrivals)

    def age_ms(self, now: float) -> float | None:
        """Return the milliseconds since the last frame was created; None if that time is unknown."""
        return None if self._made is None else (now - self._made) * 1000

    def line(self, now: float) -> str:
        """Return the current statistics as one line. The values that change most often come first."""
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
        """Return the final statistics as a JSON object."""
        seconds = now - self._began
        width, height = self._size or (None, None)
        return {
            "frames": self.frames,
            "seconds": round(seconds, 3),
            "fps": self._mean(now),
            "width": width,
            "height": height,
            "stamps": None
            if self._first is None or self._last is None
            else {"first": self._first.frame_index, "last": self._last.frame_index, "missing": self.missing},
        }

    def pairs(self, now: float) -> list[tuple[str, object]]:
        """Return the final statistics as pairs of a name and a value, which `output.fields` formats as text."""
        seconds = now - self._began
        stamped = None
        if self._first is not None and self._last is not None:
            stamped = f"{self._first.frame_index} to {self._last.frame_index}, {self.missing} missing"
        return [
            ("frames", self.frames),
            ("stamps", stamped),
            ("duration", f"{seconds:.1f} s"),
            ("fps", self._mean(now)),
            ("size", self._size_text),
        ]

    @property
    def _size_text(self) -> str | None:
        return None if self._size is None else f"{self._size[0]}x{self._size[1]}"

    def _mean(self, now: float) -> float | None:
        seconds = now - self._first_at
        return round(self.frames / seconds, 2) if seconds > 0 else None


def counted(count: int) -> str:
    """Return a number of frames with its unit, such as `1 frame`."""
    return f"{count} {'frame' if count == 1 else 'frames'}"
