"""Key frame requests of receivers, and the minimum and maximum gap between key frames."""

GROUP_SECONDS = 2.0
"""Seconds between two key frames if no key frame is requested."""


class Keyframes:
    """The key frame requests of all receivers of one session's video. `take` decides which frames become key frames.

    A slot is a period of 1/fps seconds, in which at most one frame is encoded.
    """

    def __init__(self, gap: int) -> None:
        """Request a key frame for the first frame.

        Args:
            gap: minimum number of slots between two key frames, if the second is requested because of a lost frame.
        """
        self._gap = gap
        self._last: int | None = None
        self._wanted = True
        self._lost = False

    def want(self) -> None:
        """Request a key frame for a new receiver: the next frame becomes a key frame."""
        self._wanted = True

    def lost(self) -> None:
        """Request a key frame, as soon as the gap allows, because a receiver lost a frame.

        Receivers report this with PLI (RFC 4585) or FIR (RFC 5104).
        """
        self._lost = True

    def take(self, slot: int) -> bool:
        """Return whether the frame in `slot` must be a key frame. If so, clear all requests."""
        due = self._wanted or (self._lost and (self._last is None or slot - self._last >= self._gap))
        if due:
            self._last, self._wanted, self._lost = slot, False, False
        return due
