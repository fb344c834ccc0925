"""A queue that is bounded in entries and in bytes; it drops its oldest entries."""

from collections import deque
from collections.abc import Callable, Iterator

from odyssey_mock.core.redaction import get_logger

logger = get_logger("odyssey_mock")


class BoundedQueue[T]:
    """The latest entries of a record that a client can make grow.

    Iteration yields the entries, oldest first. The latest entry is always kept, even if it alone exceeds `max_bytes`.

    Attributes:
        bytes: approximate memory of the entries.
        dropped: number of entries dropped since the queue was created or cleared.
    """

    def __init__(self, limit: int, max_bytes: int, size_of: Callable[[T], int], name: str) -> None:
        """Create an empty queue.

        `limit` and `max_bytes`: maximum number and memory of the entries. `size_of`: returns the memory of an entry in
        bytes; it must return the same value at every call. `name`: what the queue holds, for the log.
        """
        self.bytes = 0
        self.dropped = 0
        self._entries: deque[T] = deque()
        self._limit = limit
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._name = name

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries)

    def __reversed__(self) -> Iterator[T]:
        return reversed(self._entries)

    def __getitem__(self, position: int) -> T:
        """Return the entry at a position; 0 is the oldest. Positions near both ends are found at once."""
        return self._entries[position]

    @property
    def snapshot(self) -> tuple[T, ...]:
        """The entries, oldest first; may be read in any thread."""
        return tuple(self._entries)

    @property
    def oldest(self) -> T:
        """The oldest entry.

        Raises:
            IndexError: the queue is empty.
        """
        return self._entries[0]

    @property
    def latest(self) -> T:
        """The latest entry.

        Raises:
            IndexError: the queue is empty.
        """
        return self._entries[-1]

    def append(self, entry: T) -> None:
        """Add an entry, and drop the oldest ones while there are too many."""
        self._entries.append(entry)
        self.bytes += self._size_of(entry)
        while len(self._entries) > self._limit or (self.bytes > self._max_bytes and len(self._entries) > 1):
            self._drop_oldest()

    def clear(self) -> None:
        """Remove all entries, and start the count of dropped entries again."""
        self._entries.clear()
        self.bytes = self.dropped = 0

    def _drop_oldest(self) -> None:
        if not self.dropped:
            logger.info(
                "%s: the oldest entries are dropped from now on, because there are more than %d (setting "
                "`journal_limit`) or more than %d bytes (setting `journal_bytes`)",
                self._name,
                self._limit,
                self._max_bytes,
            )
        self.bytes -= self._size_of(self._entries.popleft())
        self.dropped += 1
