"""Tests of iteration over a paged list that changes between the requests of two pages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey_client.errors import ServiceUnreachableError, UnexpectedResponseError
from odyssey_client.rest.paging import Page, walk

type Change = tuple[int, Sequence[int]]
"""A change of a list: (number of items to add at the front, indexes of items to remove). Removals happen first."""


@dataclass
class Changing:
    """A fake paged list of numbers, newest first. After each request of a page, the next of `changes` is applied."""

    items: list[int]
    changes: list[Change] = field(default_factory=list)
    cap: int = 100
    """The maximum page size of the service."""
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.newest = max(self.items, default=0)
        self.always = set(self.items)

    async def fetch(self, limit: int, offset: int) -> Page[int]:
        self.asked.append((limit, offset))
        assert len(self.asked) < 1000, f"expected fewer than 1000 requests of pages, got {len(self.asked)}"
        limit = min(limit, self.cap)
        page = Page(self.items[offset : offset + limit], limit, offset)
        added, taken = self.changes.pop(0) if self.changes else (0, ())
        for place in taken:
            if self.items:
                self.always.discard(self.items.pop(place % len(self.items)))
        for _ in range(added):
            self.newest += 1
            self.items.insert(0, self.newest)
        return page

    def walked(self, page_size: int) -> list[int]:
        async def walked() -> list[int]:
            return [item async for item in walk(self.fetch, str, page_size)]

        return asyncio.run(walked())


def numbers(count: int) -> list[int]:
    return list(range(count, 0, -1))


places = st.lists(st.integers(0, 40), max_size=12)
changes = st.lists(st.tuples(st.integers(0, 12), places), max_size=20)


@given(count=st.integers(0, 40), changes=changes, page_size=st.integers(1, 7), cap=st.integers(2, 9))
@example(count=3, changes=[(0, [0, 0])], page_size=2, cap=9)
@example(count=9, changes=[(0, [0]), (0, [0, 0, 0]), (3, [1])], page_size=3, cap=9)
def test_permanent_items_are_yielded_once_in_order(count: int, changes: list[Change], page_size: int, cap: int) -> None:
    listed = Changing(numbers(count), changes, cap)
    walked = listed.walked(page_size)
    assert len(set(walked)) == len(walked)
    assert listed.always <= set(walked)
    old = [item for item in walked if item <= count]
    assert old == sorted(old, reverse=True), f"expected the items from the newest to the oldest, got {old}"


@given(count=st.integers(1, 40), added=st.lists(st.integers(0, 30), max_size=20), page_size=st.integers(1, 7))
def test_items_added_during_walk_are_left_out(count: int, added: list[int], page_size: int) -> None:
    listed = Changing(numbers(count), [(number, ()) for number in added])
    assert listed.walked(page_size) == numbers(count)


@given(count=st.integers(0, 400), page_size=st.integers(1, 100))
def test_unchanged_list_needs_fewest_pages(count: int, page_size: int) -> None:
    listed = Changing(numbers(count))
    assert listed.walked(page_size) == numbers(count)
    size = max(page_size, 2)
    assert len(listed.asked) <= count // (size - 1) + 1
    assert {limit for limit, _ in listed.asked} == {size}


def test_pages_overlap_by_one_item() -> None:
    listed = Changing(numbers(5))
    listed.walked(3)
    assert listed.asked == [(3, 0), (3, 2), (3, 4)]


def test_shortened_list_is_searched_backwards() -> None:
    listed = Changing(numbers(20), [(0, ()), (0, ()), (0, ()), (0, [0])])
    assert listed.walked(4) == numbers(20)
    assert [offset for _, offset in listed.asked] == [0, 3, 6, 9, 12, 9, 12, 15, 18]


def test_walk_restarts_if_known_items_were_removed() -> None:
    listed = Changing(numbers(9), [(0, [0, 0, 0])])
    assert listed.walked(3) == numbers(9)


def test_walk_ends_when_list_becomes_empty() -> None:
    listed = Changing(numbers(4), [(0, [0, 0, 0, 0])])
    assert listed.walked(2) == [4, 3]


def test_reappearing_item_is_not_repeated() -> None:
    assert run([5, 4], [4, 3], [3, 5], [5]) == [5, 4, 3]


def test_duplicate_item_is_yielded_once() -> None:
    assert run([2, 2], [2, 1], [1]) == [2, 1]


def run(*pages: list[int]) -> list[int]:
    """Return the items that `walk` yields if its requests return `pages` in this order."""
    given = iter(pages)

    async def fetch(limit: int, offset: int) -> Page[int]:
        return Page(next(given), limit, offset)

    async def walked() -> list[int]:
        return [item async for item in walk(fetch, str, 2)]

    return asyncio.run(walked())


def test_service_that_ignores_offset_raises_error() -> None:
    async def fetch(limit: int, offset: int) -> Page[int]:
        return Page([2, 1], limit, 0)

    async def walked() -> list[int]:
        return [item async for item in walk(fetch, str, 2)]

    with pytest.raises(
        UnexpectedResponseError, match="a page that starts at offset 1, got one that starts at offset 0"
    ):
        asyncio.run(walked())


async def test_failed_page_request_raises_its_error() -> None:
    async def fetch(limit: int, offset: int) -> Page[int]:
        if offset:
            raise ServiceUnreachableError("the service is unreachable")
        return Page([2, 1], limit, offset)

    walking = walk(fetch, str, 2)
    assert [await anext(walking), await anext(walking)] == [2, 1]
    with pytest.raises(ServiceUnreachableError, match="the service is unreachable"):
        await anext(walking)


async def test_closed_walk_requests_no_more_pages() -> None:
    listed = Changing(numbers(9))
    async with aclosing(walk(listed.fetch, str, 3)) as walking:
        async for item in walking:
            if item == 8:
                break
    assert listed.asked == [(3, 0)]


async def collect(items: AsyncIterator[int], into: list[int]) -> None:
    """Append each item to `into`, so that the test sees the items before an error."""
    async for item in items:
        into.append(item)  # noqa: PERF401 - a comprehension would lose them


@pytest.mark.parametrize("page_size", [2, 100])
async def test_walk_ends_if_pages_repeat(page_size: int) -> None:
    asked = 0

    async def fetch(limit: int, offset: int) -> Page[int]:
        nonlocal asked
        asked += 1
        return Page(list(range(limit)), limit, offset)

    walked: list[int] = []
    with pytest.raises(UnexpectedResponseError, match="expected a new item in at most 1000 pages, got none"):
        await collect(walk(fetch, str, page_size), walked)
    assert walked == list(range(page_size))
    assert asked == 1002


async def test_walk_ends_if_known_items_never_appear_again() -> None:
    asked = 0

    async def fetch(limit: int, offset: int) -> Page[int]:
        nonlocal asked
        asked += 1
        return Page(range(asked * limit, (asked + 1) * limit), limit, offset)

    walked: list[int] = []
    with pytest.raises(UnexpectedResponseError, match="expected a new item in at most 1000 pages, got none"):
        await collect(walk(fetch, str, 10), walked)
    assert walked == list(range(10, 20))
