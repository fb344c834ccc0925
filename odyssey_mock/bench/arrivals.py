"""`Arrivals`: when the frames of one video arrived, and which of them were on time."""

FPS = 20
"""Frames per second of the video."""


class Arrivals:
    """The frames of one receiver in one window of time.

    A frame is on time if it arrives within one frame interval after the time at which the fastest frame of the window
    would have arrived in its place. A frame that was never sent is not on time.
    """

    def __init__(self) -> None:
        self._delays: list[float] = []

    def __len__(self) -> int:
        return len(self._delays)

    def clear(self) -> None:
        """Begin a new window."""
        self._delays.clear()

    def note(self, timestamp: float, arrived: float) -> None:
        """Note that a frame has arrived. Its timestamp and its arrival are seconds of two clocks."""
        self._delays.append(arrived - timestamp)

    def on_time(self, seconds: float) -> float:
        """Return the share of the frames of a window of `seconds` that were on time, at most 1."""
        latest = min(self._delays, default=0.0) + 1 / FPS
        return min(1.0, sum(delay <= latest for delay in self._delays) / (seconds * FPS))
