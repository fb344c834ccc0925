"""Tests of the queue that drops its oldest entries when it has too many entries or bytes."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.bounded_queue import BoundedQueue


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 6), st.integers(1, 30))
def test_latest_entries_within_both_limits_are_kept(sizes: list[int], limit: int, most: int) -> None:
    queue = BoundedQueue[int](limit, most, lambda size: size, "the test")
    for size in sizes:
        queue.append(size)
    kept = len(queue)
    assert queue.snapshot == tuple(queue) == tuple(sizes[len(sizes) - kept :])
    assert queue.bytes == sum(queue)
    assert queue.dropped == len(sizes) - kept
    assert kept <= limit
    assert queue.bytes <= most or kept == 1
    if queue.dropped:
        dropped_last = sizes[-kept - 1]
        assert kept == limit or queue.bytes + dropped_last > most, f"expected {dropped_last} to be kept, it had room"
    queue.clear()
    assert (len(queue), queue.bytes, queue.dropped) == (0, 0, 0)


def test_single_entry_above_the_limit_is_kept() -> None:
    queue = BoundedQueue[str](10, 3, len, "the test")
    for each in ("a", "bb", "a long entry"):
        queue.append(each)
    assert (queue.snapshot, queue.latest, queue.dropped) == (("a long entry",), "a long entry", 2)
