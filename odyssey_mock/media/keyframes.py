"""When a frame is to decode by itself, because somebody cannot go on without."""


class Keyframes:
    """What the receivers of one connection's video ask for, all of them together.

    Slots number the instants that frames are made at, 1/fps apart.
    """

    def __init__(self, gap: int) -> None:
        """`gap`: slots between two key frames, at least, where the second is for a picture that was lost."""
        self._gap = gap
        self._last: int | None = None
        self._wanted = True
        self._lost = False

    def want(self) -> None:
        """Somebody begins to watch: the next frame."""
        self._wanted = True

    def lost(self) -> None:
        """Somebody has lost a picture (PLI, RFC 4585; FIR, RFC 5104): as soon as the gap allows."""
        self._lost = True

    def take(self, slot: int) -> bool:
        """Tell whether the frame of `slot`, which is about to be made, is to be one; it serves all who have asked."""
        due = self._wanted or (self._lost and (self._last is None or slot - self._last >= self._gap))
        if due:
            self._last, self._wanted, self._lost = slot, False, False
        return due
