"""`EndedOrder`, which tells a store with limits which of its ended records to drop next."""

import heapq


class EndedOrder:
    """The records of a store by age, with the memory of those that have ended.

    Above a limit, a store drops the oldest ended record. Its records begin in another order than they end, and a record
    that has not ended is never dropped. Each call takes constant or logarithmic time, however many records there are.

    Attributes:
        bytes: the memory of all ended records.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._begun = 0
        self._ages: dict[str, int] = {}
        """The number of each record, counted from the first one that began."""
        self._sizes: dict[str, int] = {}
        """The memory of each ended record."""
        self._heap: list[tuple[int, str]] = []
        """The numbers and keys of the ended records, and of some that were dropped, as a heap."""

    def __len__(self) -> int:
        """Return the number of ended records."""
        return len(self._sizes)

    def begin(self, key: str) -> None:
        """Add a record that is newer than all others."""
        self._ages[key] = self._begun
        self._begun += 1

    def end(self, key: str, size: int = 0) -> None:
        """Note that a record has ended; `size` is its memory in bytes. A record ends once."""
        self._sizes[key] = size
        self.bytes += size
        heapq.heappush(self._heap, (self._ages[key], key))

    def drop(self, key: str) -> None:
        """Remove a record, ended or not."""
        del self._ages[key]
        self.bytes -= self._sizes.pop(key, 0)
        if len(self._heap) > 2 * len(self._sizes) + 16:
            self._heap = [(self._ages[each], each) for each in self._sizes]
            heapq.heapify(self._heap)

    @property
    def oldest(self) -> str | None:
        """The key of the oldest record that has ended; None if none has."""
        while self._heap and self._heap[0][1] not in self._sizes:
            heapq.heappop(self._heap)
        return self._heap[0][1] if self._heap else None
