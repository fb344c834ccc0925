"""Tests of the queue that drops its oldest entries when it has too many entries or bytes."""

import logging

import pytest
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


def test_entries_are_read_from_both_ends() -> None:
    queue = BoundedQueue[str](10, 100, len, "the test")
    for each in ("a", "b", "c"):
        queue.append(each)
    assert (queue.oldest, queue.latest, list(reversed(queue))) == ("a", "c", ["c", "b", "a"])
    assert [queue[0], queue[1], queue[-1]] == ["a", "b", "c"]


def test_first_dropped_entry_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    queue = BoundedQueue[str](2, 100, len, "the test")
    with caplog.at_level(logging.INFO, "odyssey_mock"):
        for each in "abc":
            queue.append(each)
        (message,) = caplog.messages
        queue.append("d")
    assert caplog.messages == [message]
    assert message == (
        "the test: the oldest entries are dropped from now on, because there are more than 2 (setting `journal_limit`) "
        "or more than 100 bytes (setting `journal_bytes`)"
    )
